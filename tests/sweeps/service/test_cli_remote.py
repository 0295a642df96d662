"""`gansweep --server URL COMMAND`, in this process, against a service in a thread of it."""

import threading

import pytest

CONFIG = """
[search]
trials = 2
[space]
lr_g = { low = 1e-4, high = 1e-2 }
lr_d = 1e-3
"""


@pytest.fixture
def there(serve, shelf, run, tmp_path, begun_sweep):
    """Runs a command against a service that has the sweep digits: (its words) -> as `run`."""
    begun_sweep("digits")
    service = serve(shelf)
    (tmp_path / "sweep.toml").write_text(CONFIG)

    def call(*words):
        return run("--server", f"{service.url}/?token={service.token}", *words)

    call.service = service
    return call


def test_submitting_tells_the_name_and_begins_nothing_twice(there, shelf):
    begun = there("submit", "sweep.toml", "--name", "first", "--trials", "3", "--set", "data.x=1")
    assert begun[0] == 2
    code, out, _ = there("submit", "sweep.toml", "--name", "first", "--trials", "3")
    assert (code, out) == (0, "first was submitted\n")
    assert shelf.configs["first"].search.trials == 3
    assert there("submit", "sweep.toml", "--name", "first")[1] == "first is pending\n"


def test_what_the_service_refuses_is_one_line_of_the_users(there):
    code, out, err = there("submit", "sweep.toml", "--name", "digits")
    assert (code, out) == (2, "")
    assert err.startswith('gansweep: name = "digits": exists')
    assert there("status", "absent") == (
        2,
        "",
        'gansweep: SWEEP = "absent": there is no such sweep\n',
    )


def test_the_list_and_the_status_are_of_the_service(there):
    assert "digits" in there("list")[1]
    code, out, _ = there("status", "digits")
    assert (code, out) == (
        0,
        "digits: stopped, 1 of 2 trials, 1 complete, best 1.5 (trial 0)\n",
    )


def test_going_on_extending_stopping_and_deleting(there, shelf):
    assert there("resume", "digits", "--more-trials", "2")[1] == "digits goes on\n"
    assert shelf.configs["digits"].search.trials == 4
    assert there("logs", "digits")[1] == "digits printed this\n"
    assert there("stop", "digits")[1] == "digits is asked to stop\n"
    assert there("delete", "digits", "--yes")[1] == "digits: deleted\n"
    assert not (there.service.storage / "digits").exists()


def test_watching_ends_with_the_sweep(there, shelf):
    there("resume", "digits")
    timer = threading.Timer(1.0, shelf.set, ("digits", "FAILED", "it broke"))
    timer.start()
    code, out, _ = there("watch", "digits")
    assert code == 1
    first, *_, last = out.splitlines()
    assert first.startswith("digits: pending")
    assert last.endswith("it broke")
    timer.join()


def test_fetching_brings_the_directory_and_again_replaces_it(there, tmp_path, run):
    for _ in range(2):
        code, out, _ = there("fetch", "digits", "--out", "fetched")
        assert (code, out.strip()) == (0, str(tmp_path / "fetched" / "digits"))
    assert (tmp_path / "fetched" / "digits" / "trials").is_dir()
    code, _, err = there("fetch", "digits", "--out", "runs")
    assert code == 2
    assert "was not fetched" in err


def test_commands_that_a_service_has_not_say_so(there):
    code, _, err = there("run")
    assert code == 2
    assert err == (
        'gansweep: COMMAND = "run": a service has no such command: without --server it runs here\n'
    )
