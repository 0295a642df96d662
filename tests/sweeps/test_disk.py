"""Disks that are full or read-only, on a real file system of a few megabytes, and on real Ray.

All slow: each starts Ray at least once.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

pytestmark = pytest.mark.slow

LIMIT_S = 400  # of a busy machine; none is expected to need a tenth of it
SMALL = [
    "train.steps=200",
    "train.eval_every=20",
    "train.eval_images=100",
    "train.checkpoint_every_s=0",
    "search.trials=8",
    "search.max_in_flight=4",
    "search.pruner=none",
    "model.generator_widths=[16]",
    "model.discriminator_widths=[16]",
    "resources.workers=1",
]
OPTIONS = [word for change in SMALL for word in ("--set", change)]


def begin(*arguments, cwd):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "sweeps", *arguments], cwd=cwd, **pipes)


def gansweep(*arguments, cwd):
    process = begin(*arguments, cwd=cwd)
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    return process.returncode, stdout, stderr


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False)


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, of 16 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    if mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", where).returncode:
        pytest.skip("only root may mount a file system")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


def fill(disk):
    """Leaves not a byte of room."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        for size in (2**16, 2**10, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    assert shutil.disk_usage(disk).free == 0


def seal(disk):
    """Lets no history be written any more, not even by root."""
    (folder,) = disk.glob("*/*/history")
    if subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable files")


def unseal(disk):
    (folder,) = disk.glob("*/*/history")
    subprocess.run(["chattr", "-i", folder], check=True)


def ended(directory):
    """The trials that the study was told the ends of."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(directory / "study.journal")))
    trials = optuna.load_study(study_name=None, storage=storage).trials
    return {trial.number: trial.state.name for trial in trials if trial.state.is_finished()}


def wait_for(condition, process):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("trouble", "mend", "expected"),
    [
        (fill, lambda disk: (disk / "ballast").unlink(), "No space left on device"),
        (seal, unseal, "Operation not permitted"),
    ],
)
def test_a_disk_that_takes_nothing_more_ends_the_sweep_in_one_line_and_resume_finishes_it(
    disk, trouble, mend, expected
):
    directory = disk / "runs" / "full"
    process = begin("run", "--name", "full", *OPTIONS, cwd=disk)
    # The first four trials have ended, and the others are in training.
    wait_for(lambda: len(list(directory.glob("members/trial-[4-7].safetensors"))) == 4, process)
    trouble(disk)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1, stderr
    *progress, last = stderr.splitlines()
    assert last.startswith("gansweep: ")
    assert str(directory) in last
    assert expected in last
    assert all(re.match(r"\d of 8 trials: |The study ", line) for line in progress), stderr

    mend(disk)
    told = ended(directory)
    assert set(told) >= {0, 1, 2, 3}
    before = pd.read_parquet(directory / "trials")
    code, _, stderr = gansweep("resume", "full", cwd=disk)
    assert code == 0, stderr
    assert ended(directory) == dict.fromkeys(range(8), "COMPLETE")
    trials = pd.read_parquet(directory / "trials")
    last = trials[trials["attempt"] == trials.groupby("trial")["attempt"].transform("max")]
    assert sorted(last["trial"]) == sorted([*range(8), *range(8)])
    assert set(last["status"]) == {"complete"}
    # What was told before is as it was.
    kept = [frame[frame["trial"].isin(told)].sort_values("seed") for frame in (before, last)]
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in kept))
    history = pd.read_parquet(directory / "history").merge(last[["seed", "attempt"]])
    assert (history.groupby("seed")["rung"].agg(["size", "nunique"]) == 11).all(axis=None)


def test_what_is_read_only_is_refused_in_one_line_and_can_be_looked_at(disk):
    code, _, stderr = gansweep("run", "--name", "done", *OPTIONS, "--trials", "2", cwd=disk)
    assert code == 0, stderr
    assert mount("-o", "remount,ro", disk).returncode == 0
    for command in (["run", "--name", "other"], ["run"], ["resume", "done", "--trials", "4"]):
        code, _, stderr = gansweep(*command, cwd=disk)
        assert code == 1, stderr
        (line,) = stderr.splitlines()
        assert "Read-only file system" in line
        assert str(disk / "runs") in line
    code, stdout, stderr = gansweep("status", "done", cwd=disk)
    assert code == 0, stderr
    assert "2 of 2 trials ended" in stdout
    code, _, stderr = gansweep("report", "done", cwd=disk)
    assert code != 0
    (line,) = stderr.splitlines()
    assert "Read-only file system" in line


def test_two_sweeps_side_by_side_do_not_meet(tmp_path):
    both = [begin("run", *OPTIONS, "--trials", "4", cwd=tmp_path) for _ in range(2)]
    for process in both:
        _, stderr = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, stderr
    for name in ("digits", "digits-2"):
        directory = tmp_path / "runs" / name
        assert ended(directory) == dict.fromkeys(range(4), "COMPLETE")
        trials = pd.read_parquet(directory / "trials")
        assert set(trials["sweep"]) == {name}
        assert len(trials) == 8


def test_a_second_interrupt_does_not_wait_and_says_how_to_go_on(tmp_path):
    # No rung is reached within the patience of the test.
    slow = ["--set", "train.steps=1000000", "--set", "train.eval_every=1000000"]
    process = begin("run", "--name", "slow", *OPTIONS, *slow, cwd=tmp_path)
    directory = tmp_path / "runs" / "slow"
    wait_for(lambda: list(directory.glob("history/[!.]*.parquet")), process)
    os.kill(process.pid, signal.SIGINT)
    line = ""
    while "Ctrl-C again" not in line:
        line = process.stderr.readline()
        assert line, "it ended"
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert re.search(r"`gansweep resume \S*slow` goes on", stderr)
    assert "Traceback" not in stderr
