"""The command line answers at once, refuses in one line and leaves nothing behind."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]


def gansweep(directory, *arguments):
    """A real process, as a person starts it."""
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    return subprocess.run(
        [sys.executable, "-m", "sweeps", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )


def write(directory, text, name="sweep.toml"):
    path = directory / name
    path.write_text(text)
    return path


RANGE = "[space]\nlr_g = { low = 1e-5, high = 1e-2, log = true }\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nstep = 5\n" + RANGE, "sweep.toml:2: train.step = 5: there is no such key; did"),
        ("[space]\nlr_g = { low = 1, high = 0.1 }", "space.lr_g.low = 1.0: must be < high = 0.1"),
        (RANGE + "lr_d = -0.1", "sweep.toml:3: space.lr_d = -0.1: must be > 0"),
        (RANGE + 'loss = "hing"', 'space.loss = "hing": there is no such loss; did you mean'),
        (RANGE + '[data]\ndataset = "mnist"\nroot = "none"', "sweep.toml:5: data.root = "),
        ("[space]\n", "sweep.toml:1: space = {}: must search at least one hyperparameter"),
        ('storage = "sweep.toml"\n' + RANGE, 'sweep.toml:1: storage = "sweep.toml": must be a'),
        ("[space\n", 'CONFIG = "sweep.toml": is no TOML: '),
    ],
    ids=["key", "range", "rate", "loss", "root", "space", "storage", "syntax"],
)
def test_a_mistake_in_the_file_is_one_line_and_exit_code_2(text, message, tmp_path):
    write(tmp_path, text)
    done = gansweep(tmp_path, "run", "sweep.toml")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("gansweep: ")
    assert message in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.toml"], 'CONFIG = "none.toml": there is no such file; `gansweep init`'),
        (["run", "."], 'CONFIG = ".": must be a TOML file, not a directory'),
        (["run", "--foo"], "No such option: --foo"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    done = gansweep(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--set", "train.steps=0"]])
def test_help_and_refusals_import_nothing_heavy_and_answer_at_once(arguments, tmp_path):
    code = f"""
import sys
from sweeps.cli import main
code = main({arguments!r})
heavy = {{"torch", "ray", "optuna", "pandas", "sklearn"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else code)
"""
    begun = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert "imported" not in done.stderr
    assert done.returncode == (0 if arguments == ["--help"] else 2)
    # It takes 0.3 s of a processor; the bound is what a person still waits for.
    assert os.times().children_user - begun.children_user < 2


# --- in this process


SWEEP = ["init", "run", "resume", "stop", "confirm"]
RESULTS = ["status", "report", "export", "sample", "fid", "replay", "track"]
CLUSTER = ["submit", "logs", "list", "fetch", "serve"]


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], *([name] for name in SWEEP + RESULTS)])
def test_every_command_explains_itself_by_example(option, command, run):
    code, out, _ = run(*command, option)
    assert code == 0
    usage = " ".join(["gansweep", *command])
    assert out.startswith(f"Usage: {usage} ")
    examples = [line for line in out.splitlines()[1:] if line.strip().startswith(usage)]
    assert len(examples) > 1  # each on a line of its own
    assert "\b" not in out
    assert "\\b" not in out


def test_the_help_lists_the_commands_in_their_order_under_headings(run):
    words = [line.split()[0] for line in run("--help")[1].splitlines() if line.strip()]
    begin = words.index("Sweep:")
    assert words[begin:] == ["Sweep:", *SWEEP, "Results:", *RESULTS, "Cluster:", *CLUSTER]


def test_no_arguments_show_the_help(run):
    assert run() == run("--help")


def test_the_version_is_that_of_the_distribution(run):
    code, out, _ = run("--version")
    try:
        expected = importlib.metadata.version("gansweep")
    except importlib.metadata.PackageNotFoundError:
        expected = "not installed"
    assert code == 0
    assert expected in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "a", "b"], "unexpected extra argument"),
        (["run", "--trials", "many"], "Invalid value for '--trials'"),
        (["run", "--trials", "0"], "--trials: search.trials = 0: must be >= 1"),
        (["run", "--name", "../x"], '--name: name = "../x": must be'),
        (["run", "--storage", "s3://b/../p"], '--storage: storage = "s3://b/../p": must be a URI'),
        (["run", "--set", "train.steps"], '--set = "train.steps": must be KEY=VALUE'),
        (["run", "--set", "storage="], '--set: storage = "": must be a directory'),
        (["run", "--set", "train.steps=1.5"], "--set: train.steps = 1.5: must be a whole number"),
        (["resume"], "Missing argument 'SWEEP'"),
        (["resume", "none"], 'SWEEP = "none": there is no such sweep; runs holds none'),
        (["confirm", "none"], 'SWEEP = "none": there is no such sweep'),
        (["report", "none"], 'SWEEP = "none": there is no such sweep'),
        (["report", "none", "--every", "0"], "Invalid value for '--every'"),
        (["status"], '--storage = "runs": holds no sweep'),
        (["status", "none"], 'SWEEP = "none": there is no such sweep'),
        (["init", "--preset", "imagenet"], 'preset = "imagenet": must be one of digits, mnist'),
        (["init", "no/such/directory.toml"], "cannot be written: No such file or directory"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(arguments, message, run, tmp_path):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
