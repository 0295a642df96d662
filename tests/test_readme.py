"""What the README shows is run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.split("#")[0].split()
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
    if line.startswith("gansweep ")
]
PROGRAMS = [text for language, text in BLOCKS if language == "python"]


def run(command, cwd):
    # Ray, started by the README's own Tuner, leaves files in the home directory, and would take
    # another test's cluster for its own.
    environment = os.environ | {"HOME": str(cwd), "OMP_NUM_THREADS": "1", "RAY_ADDRESS": "local"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A directory in which all commands of the README were run, in their order."""
    directory = tmp_path_factory.mktemp("home")
    for text in PROGRAMS:
        name, _, _ = text.removeprefix("# ").partition("\n")
        if name.endswith(".py"):
            (directory / name).write_text(text)
    assert len(COMMANDS) == 13
    for command in COMMANDS:
        run([sys.executable, "-m", "sweeps", *command[1:]], directory)
    return directory


def test_the_commands_run_in_their_order(home):
    assert "10 of 10 trials ended" in run([sys.executable, "-m", "sweeps", "status"], home)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_the_programs_run(home, number):

    run([sys.executable, "-c", PROGRAMS[number]], home)


def test_the_config_is_one_that_is_accepted(home):
    (space,) = [text for language, text in BLOCKS if language == "toml"]
    (home / "space.toml").write_text(space)
    run([sys.executable, "-m", "sweeps", "run", "space.toml", "--dry-run"], home)


def test_the_directories_and_files_that_it_names_exist(home):
    for name in ("trials", "history", "samples", "control", "checkpoints", "logs"):
        assert (home / "runs" / "first" / name).is_dir()
    for name in ("sweep.toml", "study.journal", "best.png", "report.html"):
        assert (home / "runs" / "first" / name).exists()
    for path in re.findall(r"`((?:analysis|tests|gan_core|sweeps)/[\w/]+\.py)`", README):
        assert (Path(__file__).parents[1] / path).exists()
