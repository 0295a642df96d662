"""The whole command on a real embedded Ray: what is kept, what is told, how it stops."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis.schema import HYPERPARAMETERS
from sweeps.lock import SweepLock
from sweeps.store import Store

COMMAND = [sys.executable, "-m", "sweeps"]
SMALL = [
    "--set",
    "train.steps=80",
    "--set",
    "train.eval_every=20",
    "--set",
    "train.eval_images=100",
]
ENDLESS = ["--set", "train.steps=100000", "--set", "train.eval_every=20"]
LIMIT_S = 400  # of one command on a busy machine; none is expected to need a third of it


def gansweep(*arguments, cwd):
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=LIMIT_S
    )


@pytest.fixture
def begin():
    """Starts commands, and sees that none outlives its test."""
    begun = []

    def begin(*arguments, cwd):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen([*COMMAND, *arguments], cwd=cwd, **pipes))
        return begun[-1]

    yield begin
    for process in begun:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=400)


def wait_for(condition, limit_s=LIMIT_S):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def has_history(directory):
    return lambda: len(list(directory.glob("history/[!.]*.parquet"))) >= 3


def has_kept_all(directory):
    return lambda: Store(directory).kept_trials() == {0, 1, 2, 3}


def study_of(directory):
    storage = JournalStorage(JournalFileBackend(str(directory / "study.journal")))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name=None, storage=storage)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A directory with a user's own `analysis.py`, where a small sweep was run."""
    home = tmp_path_factory.mktemp("home")
    (home / "analysis.py").write_text("raise RuntimeError('the user's own')")
    result = gansweep("run", "--trials", "6", "--name", "tiny", *SMALL, cwd=home)
    assert result.returncode == 0, result.stderr
    return home / "runs" / "tiny", result


def test_a_run_leaves_a_store_that_pandas_alone_reads(done):
    directory, _ = done
    program = f"""
import sys
sys.modules.update(dict.fromkeys(["gan_core", "sweeps", "analysis", "torch", "ray", "optuna"]))
import pandas as pd
trials = pd.read_parquet({str(directory / "trials")!r})
history = pd.read_parquet({str(directory / "history")!r})
rungs = history.groupby(["trial", "seed"]).size()
ended = trials.set_index(["trial", "seed"])["steps"] // 20 + 1
print(len(trials), trials["trial"].nunique(), (rungs.sort_index() == ended.sort_index()).all())
"""
    isolated = [sys.executable, "-I", "-c", program]
    result = subprocess.run(isolated, capture_output=True, text=True, timeout=400)
    assert result.stdout.split() == ["12", "6", "True"], result.stderr


def test_a_finished_sweep_is_a_few_files(done):
    directory, _ = done
    for table in ("trials", "history", "samples"):
        assert len(list((directory / table).iterdir())) == 1
    assert not (directory / "members").exists()


def test_no_trial_of_the_study_is_left_running(done):
    trials = study_of(done[0]).trials
    assert len(trials) == 6
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}


def test_a_run_ends_by_saying_what_is_best_how_it_went_and_where_it_is(done):
    directory, result = done
    for expected in (
        "6 of 6 trials ended",
        "Best trials by frechet_distance",
        "Verdicts on members",
        "Failure rate",
        f"Results: {directory}",
        "`gansweep report tiny` makes a page of it",
        "`gansweep confirm tiny` trains the best again",
    ):
        assert expected in result.stdout
    assert (directory / "best.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_terminal_progress_is_plain_lines_and_nothing_else_is_printed(done):
    _, result = done
    lines = result.stderr.splitlines()
    assert lines
    assert all(re.match(r"\d+ of 6 trials: ", line) for line in lines), result.stderr
    assert "\x1b" not in result.stdout + result.stderr


def test_the_stored_config_says_what_it_was_made_with_and_can_be_run(done):
    directory, _ = done
    text = (directory / "sweep.toml").read_text()
    assert f"torch {__import__('torch').__version__.split('+')[0]}" in text
    result = gansweep("run", "sweep.toml", "--name", "again", "--dry-run", cwd=directory)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow  # a second whole run; the commands of the README extend a sweep too
def test_a_finished_sweep_says_so_on_resume_and_can_be_extended(done):
    directory, _ = done
    before = pd.read_parquet(directory / "trials").sort_values(["trial", "seed"])
    again = gansweep("resume", str(directory), cwd=directory.parent)
    assert again.returncode == 0
    assert "6 of 6 trials ended" in again.stdout
    result = gansweep("resume", str(directory), "--trials", "8", cwd=directory.parent)
    assert result.returncode == 0, result.stderr
    after = pd.read_parquet(directory / "trials").sort_values(["trial", "seed"])
    assert after["trial"].nunique() == 8
    pd.testing.assert_frame_equal(
        before.reset_index(drop=True), after[after["trial"] < 6].reset_index(drop=True)
    )


def test_a_finished_sweep_is_not_resumed_with_another_space(done):
    directory, _ = done
    config = directory / "sweep.toml"
    text = config.read_text()
    config.write_text(text.replace('"hinge", ', ""))
    refused = gansweep("resume", "tiny", "--trials", "9", cwd=directory.parents[1])
    config.write_text(text)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert re.match(r'gansweep: space.loss = .*begun with .*"hinge".*needs a new sweep$', line)


@pytest.mark.slow  # two starts of Ray
def test_winners_are_confirmed_on_fresh_seeds_through_a_stop(done, begin):
    directory, _ = done
    home, confirming = directory.parents[1], directory.parent / "tiny-confirm"
    process = begin("confirm", "tiny", "--top", "2", "--seeds", "5", "--steps", "1200", cwd=home)
    wait_for(has_history(confirming))
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=400)
    assert process.returncode == 130, stderr
    assert re.search(r"^Training trials \d, \d of tiny again with 5 seeds each, of 1000000", stderr)

    resumed = gansweep("resume", "tiny-confirm", cwd=home)
    assert resumed.returncode == 0, resumed.stderr
    before, after = (pd.read_parquet(d / "trials") for d in (directory, confirming))
    assert sorted(after["seed"]) == list(range(1_000_000, 1_000_010))
    assert not {*before["seed"]} & {*after["seed"]}
    assert (after["steps"] == 1200).all()
    best = before.drop_duplicates("trial").sort_values("trial_objective")
    for name in HYPERPARAMETERS:
        found = after.sort_values("trial").drop_duplicates("trial")[name].tolist()
        wanted = best.iloc[:2][name].tolist()
        pd.testing.assert_series_equal(pd.Series(found), pd.Series(wanted))
    assert "Trials of tiny on fresh seeds, by frechet_distance" in resumed.stdout
    assert gansweep("status", "tiny-confirm", cwd=home).stdout in resumed.stdout


FOUR = ["--trials", "4", "--set", "search.pruner=none", "--set", "train.steps=400"]
FOUR += ["--set", "search.max_in_flight=4"]
# Loss by loss in lockstep, so that no member rounds unlike before.
KEPT = ["--set", "train.checkpoint_every_s=0", "--set", "space.loss=hinge"]
KEPT += ["--set", "space.label_smoothing=", "--set", "search.baseline=[]"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_stops_cleanly_and_resume_goes_on(tmp_path, begin, number):
    directory = tmp_path / "runs" / "stopped"
    process = begin("run", "--name", "stopped", *SMALL, *FOUR, cwd=tmp_path)
    wait_for(has_history(directory))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=400)
    assert process.returncode == 130, stderr
    assert re.search(r"gansweep resume \S+` goes on", stderr)
    assert "Traceback" not in stderr
    assert "Results:" in stdout
    assert len(pd.read_parquet(directory / "history")) > 0
    assert "RUNNING" in {t.state.name for t in study_of(directory).trials}

    config = directory / "sweep.toml"
    text = config.read_text()
    config.write_text(text.replace("steps = 400", "steps = 40"))
    refused = gansweep("resume", "stopped", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == (
        "gansweep: train.steps = 40: this study was begun with 400; "
        "another value needs a new sweep\n"
    )

    config.write_text(text)
    resumed = gansweep("resume", "stopped", cwd=tmp_path)
    assert_completes(directory, resumed.returncode, resumed.stderr)
    assert "Trials that were in training: 4; what was kept of 4 is there" in resumed.stderr
    assert_went_on(directory)


def assert_went_on(directory):
    """Every trial in training was taken up; its first rows are those of the attempt before."""
    unlike = ["attempt", "seconds", "members"]
    history = pd.read_parquet(directory / "history").sort_values(["seed", "rung", "attempt"])
    again = history[history["attempt"] > 0]
    assert set(again["trial"]) == {0, 1, 2, 3}
    for _, member in history.groupby("seed"):
        last = member[member["attempt"] == member["attempt"].max()].set_index("rung")
        before = member[member["attempt"] == 0].set_index("rung")
        # What was trained again took another time.
        seconds = [attempt["seconds"] for attempt in (last, before)]
        shared = last.index.intersection(before.index)
        kept = shared[[seconds[0][rung] == seconds[1][rung] for rung in shared]]
        assert kept.max() > 0
        pd.testing.assert_frame_equal(
            last.loc[shared].drop(columns=unlike),
            before.loc[shared].drop(columns=unlike),
        )
    assert not (directory / "members").exists()


def assert_completes(directory, code, stderr):
    assert code == 0, stderr
    trials = pd.read_parquet(directory / "trials")
    assert sorted(trials.drop_duplicates(["trial", "seed"])["trial"]) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (trials["status"] == "complete").all()
    assert {t.state.name for t in study_of(directory).trials} == {"COMPLETE"}


@pytest.mark.slow
def test_a_killed_driver_leaves_a_sweep_that_resume_completes(tmp_path, begin):
    directory = tmp_path / "runs" / "killed"
    process = begin("run", "--name", "killed", *SMALL, *FOUR, *KEPT, cwd=tmp_path)
    wait_for(has_kept_all(directory))
    process.kill()
    process.communicate(timeout=400)
    resumed = gansweep("resume", "killed", cwd=tmp_path)
    assert_completes(directory, resumed.returncode, resumed.stderr)
    assert_went_on(directory)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["Trainable", "StudyOwner"])
def test_a_killed_process_is_started_again_and_nothing_is_lost(tmp_path, begin, victim):
    directory = tmp_path / "runs" / "hurt"
    one = ["--set", "resources.workers=1"]
    process = begin("run", "--name", "hurt", *SMALL, *FOUR, *KEPT, *one, cwd=tmp_path)
    wait_for(has_kept_all(directory))
    os.kill(ray_process(victim, process), signal.SIGKILL)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert_completes(directory, process.returncode, stderr)
    if victim == "Trainable":
        assert_went_on(directory)


def ray_process(name, driver):
    """The process id of a process of the driver's Ray, which names it after its class."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text, pid = command.read_text(), int(command.parent.name)
            if text.startswith("ray::") and name in text and ancestor(pid, driver.pid):
                return pid
    raise AssertionError(f"no {name} found")


def ancestor(pid, of):
    while pid > 1:
        if pid == of:
            return True
        text = Path(f"/proc/{pid}/stat").read_text()
        pid = int(text.rpartition(")")[2].split()[1])
    return False


@pytest.mark.slow  # a Ray for what `test_a_sweep_that_is_locked_is_not_run` tests without
def test_a_sweep_that_is_running_is_not_run_twice(tmp_path, begin):
    directory = tmp_path / "runs" / "busy"
    begin("run", "--name", "busy", "--trials", "4", *ENDLESS, cwd=tmp_path)
    wait_for(has_history(directory))
    for command in (["run", "--name", "busy"], ["resume", "busy"]):
        refused = gansweep(*command, cwd=tmp_path)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1
        assert "busy" in refused.stderr


def test_a_sweep_that_is_locked_is_not_run(begun_sweep, run):
    with SweepLock(begun_sweep("busy")):
        for command in (["run", "--name", "busy"], ["resume", "busy"]):
            code, _, stderr = run(*command)
            assert code == 2
            assert len(stderr.splitlines()) == 1
            assert "busy" in stderr


FACTORY = """
from torch import nn

class Generator(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.layer = nn.Linear(latent_dim, 64)
    def forward(self, z):
        return self.layer(z{change}).tanh().unflatten(1, (1, 8, 8))

class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
    def forward(self, x):
        return self.layer(x.flatten(1))[:, 0]

def factory(latent_dim, sample_shape):
    return Generator(latent_dim), Discriminator()
"""


@pytest.fixture(scope="module")
def on_terminal(tmp_path_factory):
    """A directory in which a sweep of the user's own networks was run on a terminal, and what
    the terminal was sent."""
    home = tmp_path_factory.mktemp("home")
    (home / "nets.py").write_text(FACTORY.format(change=""))
    own = ["--set", "model.architecture=nets:factory", "--trials", "2", "--name", "own"]
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", *own, *SMALL],
        cwd=home,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(terminal)
    shown = b""
    end = time.monotonic() + LIMIT_S
    while process.poll() is None or select.select([controller], [], [], 0)[0]:
        assert time.monotonic() < end
        if select.select([controller], [], [], 0.1)[0]:
            try:
                shown += os.read(controller, 65536)
            except OSError:
                break
    os.close(controller)
    assert process.wait() == 0, shown.decode()
    return home, shown.decode()


def test_the_users_own_architecture_is_found_in_their_directory_and_trained(on_terminal):
    home, _ = on_terminal
    trials = pd.read_parquet(home / "runs" / "own" / "trials")
    assert set(trials["architecture"]) == {"nets:factory"}
    assert set(trials["status"]) <= {"complete", "pruned"}


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("nowhere:factory", "cannot be imported"),
        ("nets:factory", "not linear in z"),
    ],
)
def test_an_architecture_that_cannot_be_used_is_refused_before_anything_is_written(
    tmp_path, run, monkeypatch, architecture, expected
):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "nets.py").write_text(FACTORY.format(change=" - z.mean(1, keepdim=True)"))
    code, _, stderr = run("run", "--set", f"model.architecture={architecture}")
    sys.modules.pop("nets", None)
    assert code == 2
    (line,) = stderr.splitlines()
    assert expected in line
    assert architecture in line
    assert not (tmp_path / "runs").exists()


def test_on_a_terminal_there_is_one_live_display(on_terminal):
    _, text = on_terminal
    assert "member-steps/s" in text
    assert "Results:" in text
    assert "Traceback" not in text
    assert "(raylet)" not in text


@pytest.mark.slow
def test_a_study_that_does_not_answer_is_said_to_and_waited_for(begin, tmp_path):
    process = begin("run", "--name", "still", *ENDLESS, cwd=tmp_path)
    wait_for(has_history(tmp_path / "runs" / "still"))
    owner = holder(tmp_path / "runs" / "still" / ".study.lock")
    os.kill(owner, signal.SIGSTOP)
    try:
        assert line_with("The study ", process.stderr) == (
            "The study does not answer: it is busy, its storage fails, or its process begins anew."
        )
        process.send_signal(signal.SIGINT)
        assert line_with("Stopping ", process.stderr)
    finally:
        os.kill(owner, signal.SIGCONT)
    stderr = process.stderr.read()
    assert process.wait(LIMIT_S) == 130
    assert "The study answers again." in stderr
    assert "`gansweep resume" in stderr


def line_with(begin, stream):
    return next(line.strip() for line in stream if line.startswith(begin))


def holder(path):
    """The process that has a file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(path):
                return int(link.parts[2])
    raise AssertionError(f"nobody has {path} open")
