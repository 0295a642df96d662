import sys
import time
from pathlib import Path

import pytest

from benchmarks.memory import run_watched

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's /proc tells it")


def watched(tmp_path, program, **options):
    return run_watched(
        [sys.executable, "-c", program],
        cwd=tmp_path, log=tmp_path / "log", environment={"COLOUR": "red"}, **options,
    )  # fmt: skip


def is_alive(process):
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_is_timed_and_told_its_variables(tmp_path):
    done = watched(tmp_path, "import os; print(os.environ['COLOUR'])")
    assert (tmp_path / "log").read_text() == "red\n"
    assert 0 < done.wall_s < 60
    assert abs(done.began_at + done.wall_s - time.time()) < 60


@linux
def test_what_a_command_leaves_behind_is_ended(tmp_path):
    program = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', "
        "'import time; time.sleep(600)'], start_new_session=True); print(p.pid)"
    )
    watched(tmp_path, program)
    process = int((tmp_path / "log").read_text())
    end = time.monotonic() + 60
    while is_alive(process) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(process)


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="ValueError: of no use"):
        watched(tmp_path, "raise ValueError('of no use')")


def test_a_command_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(RuntimeError, match="exit code -9"):
        watched(tmp_path, "import time; time.sleep(600)", limit_s=0.1)


@linux
def test_the_memory_of_a_command_is_the_most_that_it_took(tmp_path):
    program = "import time; held = bytearray(64 * 2**20); time.sleep(3)"
    assert 64 * 2**20 < watched(tmp_path, program).peak_bytes < 128 * 2**20
