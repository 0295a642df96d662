"""A shell completes commands, and names of sweeps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]


def completed(directory, line):
    """What bash is offered at the end of a line."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": f"{line.count(' ')}"}
    done = subprocess.run(
        [sys.executable, "-m", "sweeps"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(HOME), "_GANSWEEP_COMPLETE": "complete_bash"} | asked,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gansweep re", {"resume", "report", "replay"}),
        ("gansweep report d", {"digits", "digits-2"}),
        ("gansweep status own", {"own"}),
        ("gansweep status --storage elsewhere m", {"mnist"}),
        ("gansweep init --preset ", {"digits", "mnist"}),
        ("gansweep confirm digits --se", {"--seeds"}),
    ],
)
def test_the_shell_completes_commands_options_and_sweeps(begun_sweep, tmp_path, line, expected):
    for name in ("digits", "digits-2", "own"):
        begun_sweep(name)
    (tmp_path / "elsewhere" / "mnist").mkdir(parents=True)
    (tmp_path / "elsewhere" / "mnist" / "sweep.toml").touch()
    begun = os.times()
    assert set(completed(tmp_path, line)) == expected
    # It takes 0.4 s of a processor; the bound is what a person still waits for.
    assert os.times().children_user - begun.children_user < 2


def test_the_shells_script_can_be_shown(tmp_path):
    # In a shell of its own: which one it is, is read off the processes above.
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m sweeps --show-completion; exit $?"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "_GANSWEEP_COMPLETE=complete_bash" in done.stdout
    assert "complete -o default -F" in done.stdout
