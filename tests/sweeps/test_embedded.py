"""One Ray serves all the quick tests: a driver in a user's directory reports what it saw."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps.embedded

PACKAGES_HOME = Path(sweeps.embedded.__file__).parents[1]

DRIVER = """
import json, os, signal, sys, time
from pathlib import Path
sys.path.append(sys.argv[1])
from sweeps.embedded import embedded_ray
from sweeps.import_path import append_user_directory

append_user_directory()
report, presses = {}, []
signal.signal(signal.SIGINT, lambda *_: presses.append(1))
environment, terminate = dict(os.environ), signal.getsignal(signal.SIGTERM)


class Probe:
    def look(self):
        import os, random, sys
        import analysis.schema, gan_core.config, my_package.nets, sweeps.store
        modules = (analysis.schema, gan_core.config, sweeps.store, my_package.nets)
        return {
            "pid": os.getpid(),
            "files": [module.__file__ for module in modules],
            "directory": os.getcwd(),
            "threads": os.environ["OMP_NUM_THREADS"],
            "last": sys.path[-1],
            "random": random.__file__,
        }


class Boom(Exception):
    pass


began = time.perf_counter()
try:
    with embedded_ray(cpus=3, gpus=0, log_dir=Path(sys.argv[2])) as logs:
        report["start_s"] = time.perf_counter() - began
        import ray
        report["cpus"] = ray.cluster_resources()["CPU"]
        report["logs_while_running"] = sorted(path.name for path in logs.iterdir())
        probe = ray.remote(num_cpus=0)(Probe).remote()
        report["worker"] = ray.get(probe.look.remote())
        os.killpg(0, signal.SIGINT)  # what Ctrl-C does
        time.sleep(0.5)
        report["worker_after_interrupt"] = ray.get(probe.look.remote())
        began = time.perf_counter()
        raise Boom
except Boom:
    report["stop_s"] = time.perf_counter() - began
report["presses"] = len(presses)
report["initialized"] = ray.is_initialized()
report["environment_restored"] = dict(os.environ) == environment
report["terminate_restored"] = signal.getsignal(signal.SIGTERM) == terminate
Path(sys.argv[3]).write_text(json.dumps(report))
"""


def run_driver(tmp_path, script, **variables):
    user, bin_ = tmp_path / "user", tmp_path / "bin"
    (user / "my_package").mkdir(parents=True)
    (user / "my_package" / "nets.py").write_text("")
    for name in ("analysis", "sweeps", "gan_core", "random"):
        (user / f"{name}.py").write_text(f"raise RuntimeError('the user\\'s own {name}')\n")
    # A script elsewhere, as a console script is: the current directory is not on its path.
    bin_.mkdir()
    (bin_ / "driver.py").write_text(script)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "TUNE_")) and name not in ("PYTHONPATH", "OMP_NUM_THREADS")
    }
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    report = tmp_path / "report.json"
    command = [sys.executable, str(bin_ / "driver.py")]
    run = subprocess.run(
        [*command, str(PACKAGES_HOME), str(tmp_path / "logs"), str(report)],
        cwd=user,
        env=environment | {"HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,
    )
    assert run.returncode == 0, run.stderr
    return run, json.loads(report.read_text()), tmp_path


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return run_driver(tmp_path_factory.mktemp("embedded"), DRIVER)


def test_nothing_reaches_the_terminal(session):
    run, _, _ = session
    assert (run.stdout, run.stderr) == ("", "")


def test_workers_import_our_packages_and_the_users_own_from_the_users_directory(session):
    _, report, tmp_path = session
    files = [Path(file) for file in report["worker"]["files"]]
    assert [file.parents[1] for file in files] == [PACKAGES_HOME] * 3 + [tmp_path / "user"]


def test_the_users_directory_comes_after_the_standard_library_in_workers(session):
    _, report, tmp_path = session
    assert report["worker"]["last"] == str(tmp_path / "user")
    assert Path(report["worker"]["random"]).parent != tmp_path / "user"


def test_workers_run_where_the_user_is_with_one_thread(session):
    _, report, tmp_path = session
    assert report["worker"]["directory"] == str(tmp_path / "user")
    assert report["worker"]["threads"] == "1"


def test_workers_may_claim_what_was_given(session):
    _, report, _ = session
    assert report["cpus"] == 3


def test_an_interrupt_reaches_the_driver_and_spares_the_workers(session):
    _, report, _ = session
    assert report["presses"] == 1
    assert report["worker_after_interrupt"] == report["worker"]


def test_ray_is_stopped_and_all_is_as_before_when_the_body_raises(session):
    _, report, _ = session
    assert report["initialized"] is False
    assert report["environment_restored"]
    assert report["terminate_restored"]


def test_the_logs_are_kept_and_the_temporary_directory_is_not(session):
    _, report, tmp_path = session
    assert "raylet.out" in report["logs_while_running"]
    logs = tmp_path / "logs"
    assert sorted(path.name.partition("_")[0] for path in logs.iterdir()) == [
        "ray-driver.log",
        "session",
    ]
    (kept,) = logs.glob("session_*")
    assert not kept.is_symlink()
    assert (kept / "raylet.out").is_file()
    assert "Started a local Ray instance" in (logs / "ray-driver.log").read_text()


def test_the_users_home_is_left_alone(session):
    _, _, tmp_path = session
    assert list((tmp_path / "home").iterdir()) == []


def test_logs_of_a_killed_run_are_collected(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    temporary = tmp_path / "gansweep-abc"
    session = temporary / f"session_2026-01-01_00-00-00_000000_{dead.pid}"
    (session / "logs").mkdir(parents=True)
    (session / "logs" / "raylet.out").write_text("last words")
    (temporary / "session_latest").symlink_to(session)
    log_dir = tmp_path / "logs"
    log_dir.mkdir()
    (log_dir / session.name).symlink_to(session / "logs")
    sweeps.embedded._collect_killed(log_dir)
    assert (log_dir / session.name / "raylet.out").read_text() == "last words"
    assert not temporary.exists()


def test_logs_of_a_run_that_lives_are_not_touched(tmp_path):
    session = tmp_path / "gansweep-abc" / f"session_2026-01-01_00-00-00_000000_{os.getpid()}"
    (session / "logs").mkdir(parents=True)
    (tmp_path / session.name).symlink_to(session / "logs")
    sweeps.embedded._collect_killed(tmp_path)
    assert (session / "logs").is_dir()


TUNE_DRIVER = """
import json, sys, tempfile, threading
from pathlib import Path
sys.path.append(sys.argv[1])
import ray  # before our variables are set: its settings are read again
from sweeps.embedded import embedded_ray

log_dir, report = Path(sys.argv[2]), {}
for turn in range(2):
    with embedded_ray(cpus=1, gpus=0, log_dir=log_dir):
        try:
            with embedded_ray(cpus=1, gpus=0, log_dir=log_dir):
                pass
        except RuntimeError as error:
            report["second"] = str(error)
        if turn == 0:
            continue
        from ray import tune

        class Worker(tune.Trainable):
            def setup(self, config):
                import analysis.schema, sweeps.store

            def step(self):
                import os
                return {"done": self.iteration == 1, "directory": os.getcwd()}

        with tempfile.TemporaryDirectory(dir=log_dir) as storage:
            tuner = tune.Tuner(
                tune.with_resources(Worker, {"cpu": 1}),
                run_config=tune.RunConfig(
                    storage_path=storage,
                    verbose=0,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            results = []
            thread = threading.Thread(target=lambda: results.append(tuner.fit()))
            thread.start()
            thread.join()
        report["errors"] = results[0].num_errors
        report["directory"] = results[0][0].metrics["directory"]
Path(sys.argv[3]).write_text(json.dumps(report))
"""


@pytest.mark.slow
def test_tune_in_a_thread_of_a_second_ray_is_silent(tmp_path):
    run, report, _ = run_driver(tmp_path, TUNE_DRIVER)
    assert (run.stdout, run.stderr) == ("", "")
    assert report["errors"] == 0
    assert report["directory"] == str(tmp_path / "user")
    assert report["second"].startswith("Ray is already running in this process")
    assert list((tmp_path / "home").iterdir()) == []
