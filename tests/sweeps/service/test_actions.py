"""What begins, stops and deletes sweeps, on a shelf that holds jobs and runs none."""

import json
import shutil
import subprocess
import sys
import textwrap

import pytest

from sweeps.config_file import preset_text
from sweeps.lock import SweepLock

TOML = {"Content-Type": "application/toml"}
SMALL = {
    "search": {"trials": 2},
    "space": {"lr_g": {"low": 1e-4, "high": 1e-2}, "lr_d": 1e-3, "loss": "hinge"},
}


@pytest.fixture
def service(serve, shelf):
    return serve(shelf)


@pytest.fixture
def ended(serve, shelf, begun_sweep):
    """A service whose storage has a sweep with one of its two trials ended."""
    begun_sweep("digits")
    return serve(shelf)


def test_a_preset_begins_as_it_ships_in_the_storage_of_the_service(service, shelf):
    status, _, content = service.ask(
        "POST", "/api/sweeps", body=preset_text("digits"), headers=TOML
    )
    sweep = json.loads(content)
    assert (status, sweep["name"], sweep["state"]) == (201, "digits", "pending")
    assert sweep["begun_by"] == "job"
    assert shelf.configs["digits"].storage == str(service.storage)


def test_json_is_the_same_config_as_toml(service, shelf):
    toml = """
        name = "a"
        search.trials = 2
        [space]
        lr_g = { low = 1e-4, high = 1e-2 }
        lr_d = 1e-3
        loss = "hinge"
    """
    assert service.ask("POST", "/api/sweeps", body=toml, headers=TOML)[0] == 201
    assert service.post("/api/sweeps", SMALL | {"name": "b"})[0] == 201
    named = shelf.configs["b"].model_copy(update={"name": "a"})
    assert named == shelf.configs["a"]


def test_sweeps_without_a_name_get_free_ones(service, begun_sweep):
    begun_sweep("digits")
    names = [service.post("/api/sweeps", SMALL)[1]["name"] for _ in range(3)]
    assert names == ["digits-2", "digits-3", "digits-4"]


def test_submitting_again_begins_nothing_twice(service, shelf):
    named = SMALL | {"name": "first"}
    assert [service.post("/api/sweeps", named)[0] for _ in range(3)] == [201, 200, 200]
    assert len(shelf.jobs()) == 1
    service.post("/api/sweeps/first/stop")
    assert service.post("/api/sweeps", named)[0] == 201


def test_a_sweep_of_the_shell_is_not_taken_for_a_new_one(ended, shelf):
    status, answer = ended.post("/api/sweeps", SMALL | {"name": "digits"})
    assert status == 409
    assert answer["error"].startswith('name = "digits": exists; POST /api/sweeps/digits/resume')
    assert not shelf.jobs()


def test_what_was_stopped_goes_on_with_its_own_config(ended, shelf):
    assert ended.get("/api/sweeps/digits")["state"] == "stopped"
    status, sweep = ended.post("/api/sweeps/digits/resume")
    assert (status, sweep["state"]) == (202, "pending")
    assert shelf.configs["digits"].search.trials == 2
    assert shelf.configs["digits"].storage == str(ended.storage)
    assert ended.post("/api/sweeps/digits/resume")[0] == 409


def test_extending_adds_trials(ended, shelf):
    assert ended.post("/api/sweeps/digits/extend", {"trials": 5})[0] == 202
    assert shelf.configs["digits"].search.trials == 7
    assert ended.post("/api/sweeps/digits/extend", {"trials": 5})[0] == 409  # it runs


@pytest.mark.parametrize("body", [{}, {"trials": 0}, {"trials": "5"}, {"trials": 5, "x": 1}, [5]])
def test_an_extension_that_is_none_is_one_line(ended, shelf, body):
    status, answer = ended.post("/api/sweeps/digits/extend", body)
    assert status == 422
    assert list(answer) == ["error"]
    assert "\n" not in answer["error"]
    assert not shelf.jobs()


def test_a_job_is_stopped_as_a_job(service, shelf):
    service.post("/api/sweeps", SMALL | {"name": "first"})
    status, sweep = service.post("/api/sweeps/first/stop")
    assert (status, sweep["state"]) == (202, "stopped")
    assert shelf.stopped == ["first"]
    assert service.post("/api/sweeps/first/stop")[0] == 409


def test_a_run_of_the_shell_is_asked_to_stop_by_a_signal(ended):
    program = """
        import signal, sys
        from pathlib import Path
        from sweeps.lock import SweepLock
        with SweepLock(Path(sys.argv[1])):
            print("runs", flush=True)
            signal.sigwait([signal.SIGTERM])
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(ended.storage / "digits")],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: __import__("signal").pthread_sigmask(0, [15]),
    )
    assert process.stdout.readline() == "runs\n"
    assert ended.until("digits", state="running")["begun_by"] == "shell"
    assert ended.post("/api/sweeps/digits/stop")[0] == 202
    assert process.wait(60) == 0
    process.stdout.close()
    ended.until("digits", state="stopped")


def test_a_job_that_failed_says_why(service, shelf):
    service.post("/api/sweeps", SMALL | {"name": "first"})
    shelf.set("first", "FAILED", "exit code 2\nlogs:\ngansweep: data.root: must be there\n\n")
    sweep = service.until("first", state="failed")
    assert sweep["message"] == "gansweep: data.root: must be there"


def test_an_extension_that_failed_does_not_look_like_a_sweep_that_is_done(
    service, shelf, begun_sweep
):
    begun_sweep("digits", "search.trials=1")
    assert service.get("/api/sweeps/digits")["state"] == "done"
    assert service.post("/api/sweeps/digits/extend", {"trials": 5})[0] == 202
    shelf.set("digits", "FAILED", "Job supervisor actor died")
    sweep = service.until("digits", state="failed")
    assert sweep["message"] == "Job supervisor actor died"
    assert service.post("/api/sweeps/digits/extend", {"trials": 5})[0] == 202
    assert shelf.configs["digits"].search.trials == 6


def test_deleting_is_asked_twice(ended):
    directory = ended.storage / "digits"
    status, _, content = ended.ask("DELETE", "/api/sweeps/digits")
    asked = json.loads(content)
    assert status == 202
    assert asked["warning"].startswith("deletes all results of digits: 1 trials")
    assert directory.exists()
    for wrong in ("", "1", "x.y", asked["confirm"] + "0", "9" * 15 + ".0", "٣.a"):
        from urllib.parse import quote

        assert ended.ask("DELETE", f"/api/sweeps/digits?confirm={quote(wrong)}")[0] == 409
    assert directory.exists()
    assert ended.ask("DELETE", f"/api/sweeps/digits?confirm={asked['confirm']}")[0] == 204
    assert not list(ended.storage.iterdir())
    assert ended.ask("GET", "/api/sweeps/digits")[0] == 404


def test_a_confirmation_is_of_one_sweep_as_it_was(ended, begun_sweep, own_sweep):
    begun_sweep("other")
    confirm = json.loads(ended.ask("DELETE", "/api/sweeps/digits")[2])["confirm"]
    assert ended.ask("DELETE", f"/api/sweeps/other?confirm={confirm}")[0] == 409
    shutil.copy(next((own_sweep / "trials").glob("*.parquet")), ended.storage / "digits" / "trials")
    assert ended.ask("DELETE", f"/api/sweeps/digits?confirm={confirm}")[0] == 409
    assert (ended.storage / "digits").exists()


def test_nothing_that_runs_is_deleted(ended):
    confirm = json.loads(ended.ask("DELETE", "/api/sweeps/digits")[2])["confirm"]
    with SweepLock(ended.storage / "digits"):
        assert ended.ask("DELETE", "/api/sweeps/digits")[0] == 409
        assert ended.ask("DELETE", f"/api/sweeps/digits?confirm={confirm}")[0] == 409
    assert (ended.storage / "digits").exists()


def test_a_link_in_the_storage_is_not_followed_to_delete_what_lies_elsewhere(ended, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(ended.storage / "digits", elsewhere)
    (ended.storage / "digits").symlink_to(elsewhere)
    confirm = json.loads(ended.ask("DELETE", "/api/sweeps/digits")[2])["confirm"]
    ended.ask("DELETE", f"/api/sweeps/digits?confirm={confirm}")
    assert (elsewhere / "sweep.toml").exists()


def test_a_service_that_only_looks_says_so(serve, begun_sweep):
    begun_sweep("digits")
    service = serve()
    for path, document in (("", SMALL), ("/digits/resume", None)):
        status, answer = service.post(f"/api/sweeps{path}", document)
        assert status == 503
        assert answer["error"].endswith("it was begun with --no-ray")


def test_logs_are_those_of_the_job(service):
    service.post("/api/sweeps", SMALL | {"name": "first"})
    assert service.ask("GET", "/api/sweeps/first/logs")[2] == b"first printed this\n"


def test_checking_begins_nothing(service, shelf):
    status, plan = service.post("/api/check", SMALL)
    assert (status, plan["name"], plan["trials"], plan["seeds"]) == (200, "digits", 2, 2)
    assert not shelf.jobs()
