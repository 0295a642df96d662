import os
import subprocess
import sys

import pytest

from gan_core.config import ConfigError
from sweeps.lock import SweepLock, is_locked
from sweeps.mistakes import SweepFailure


def test_a_second_holder_is_told_who_the_first_is(tmp_path):
    with SweepLock(tmp_path), pytest.raises(ConfigError, match=f"by process {os.getpid()}"):
        SweepLock(tmp_path).__enter__()


def test_it_is_free_again_when_its_holder_has_died(tmp_path):
    program = (
        "import os, pathlib, sys; from sweeps.lock import SweepLock;"
        "SweepLock(pathlib.Path(sys.argv[1])).__enter__(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=400)
    with SweepLock(tmp_path):
        pass


def test_a_directory_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(SweepFailure, match="cannot be locked"):
        SweepLock(tmp_path / "absent").__enter__()


def test_whether_it_is_held_can_be_asked_without_holding_it(tmp_path):
    assert not is_locked(tmp_path)
    with SweepLock(tmp_path):
        assert is_locked(tmp_path)
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with SweepLock(tmp_path):
        pass
    assert not is_locked(tmp_path / "absent")
