"""The command line answers at once, refuses in one line and leaves nothing behind."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from analysis.schema import TRIALS
from sweeps.cli import main
from sweeps.config_file import PRESETS, load_config, preset_text, to_toml
from sweeps.store import Store, TableName

HOME = Path(__file__).resolve().parents[2]
CPU = ["--set", "resources.device=cpu"]


def gansweep(directory, *arguments):
    """A real process, as a person starts it."""
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    return subprocess.run(
        [sys.executable, "-m", "sweeps", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
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
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "imported" not in done.stderr
    assert done.returncode == (0 if arguments == ["--help"] else 2)
    # It takes 0.3 s; the bound is what a person still waits for.
    assert time.monotonic() - start < 2


# --- in this process


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize(
    "command",
    [[], *([name] for name in ("run", "init", "resume", "status", "export", "sample", "replay"))],
)
def test_every_command_explains_itself_by_example(option, command, run):
    code, out, _ = run(*command, option)
    assert code == 0
    usage = " ".join(["gansweep", *command])
    assert out.startswith(f"Usage: {usage} ")
    examples = [line for line in out.splitlines()[1:] if line.strip().startswith(usage)]
    assert len(examples) > 1  # each on a line of its own
    assert "\b" not in out
    assert "\\b" not in out


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
        (["run", "--storage", "s3://b/p"], '--storage: storage = "s3://b/p": must be a directory'),
        (["run", "--set", "train.steps"], '--set = "train.steps": must be KEY=VALUE'),
        (["run", "--set", "train.steps=1.5"], "--set: train.steps = 1.5: must be a whole number"),
        (["resume"], "Missing argument 'SWEEP'"),
        (["resume", "none"], 'SWEEP = "none": there is no such sweep; runs holds none'),
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


def test_a_dry_run_prints_a_config_and_the_plan_and_writes_nothing(run, tmp_path):
    code, out, err = run("run", "--dry-run", *CPU, "--trials", "8", "--name", "mine")
    assert (code, err) == (0, "")
    assert "#   trials in flight   2 of 8" in out
    assert list(tmp_path.iterdir()) == []
    path = write(tmp_path, out)
    expected = load_config(None, CPU[1:], options={"search.trials": 8, "name": "mine"})
    assert load_config(path) == expected


def test_a_dry_run_shows_the_name_that_the_sweep_would_get(run, tmp_path):
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    _, out, _ = run("run", "--dry-run", *CPU)
    assert tomllib.loads(out)["name"] == "digits-2"


def test_a_name_that_exists_is_refused_with_the_way_to_resume(run, tmp_path):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    code, _, err = run("run", "--name", "mine")
    assert code == 2
    assert f"gansweep resume {tmp_path}/runs/mine" in err


@pytest.mark.parametrize("preset", PRESETS)
def test_init_writes_the_commented_preset(preset, run, tmp_path):
    code, out, _ = run("init", "mine.toml", "--preset", preset)
    assert code == 0
    assert "gansweep run mine.toml" in out
    assert (tmp_path / "mine.toml").read_text() == preset_text(preset)


def test_init_replaces_a_file_only_by_force(run, tmp_path):
    write(tmp_path, "mine")
    code, _, err = run("init")
    assert code == 2
    assert 'PATH = "sweep.toml": is there already: take another path, or --force' in err
    assert (tmp_path / "sweep.toml").read_text() == "mine"
    assert run("init", "--force")[0] == 0
    assert (tmp_path / "sweep.toml").read_text() == preset_text("digits")
    assert run("init", ".", "--force")[0] == 2


def sweep(storage, name="digits"):
    """A sweep of two trials, one of which has ended."""
    config = load_config(None, ["search.trials=2", "train.seeds=1"])
    store = Store(storage / name)
    store.write_config(to_toml(config.model_copy(update={"name": name})))
    known = {"sweep": name, "trial": 0, "seed": 0, "attempt": 0, "status": "complete"}
    measured = {"steps": 2000, "trial_objective": 1.5, "lr_g": 1e-3, "loss": "hinge"}
    row = dict.fromkeys(TRIALS.names) | known | measured | {"ended_at": datetime.now(UTC)}
    store.write(TableName.TRIALS, [row], "w0-0")
    return storage / name


def test_status_shows_one_sweep_or_all(run, tmp_path):
    sweep(tmp_path / "runs")
    sweep(tmp_path / "runs", "other")
    code, out, _ = run("status", "digits")
    assert code == 0
    assert "digits: 1 of 2 trials ended" in out
    assert re.search(r"^ +0 +1\.5 +0\.001 .* hinge ", out, flags=re.MULTILINE)
    assert run("status", str(tmp_path / "runs" / "digits"))[1] == out
    assert "other: 1 of 2 trials ended" in run("status")[1]


def test_a_sweep_cannot_be_resumed_with_fewer_trials(run, tmp_path):
    sweep(tmp_path / "runs")
    code, _, err = run("resume", "digits", "--trials", "1")
    assert code == 2
    assert "--trials: search.trials = 1: must be >= 2, which the sweep has already" in err


def test_a_damaged_config_of_a_sweep_is_refused(run, tmp_path):
    (sweep(tmp_path / "runs") / "sweep.toml").write_text("[train")
    assert run("status", "digits")[0] == 2
    assert "is no TOML" in run("resume", "digits")[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.architecture=nope:factory"], "cannot be imported"),
        (["model.architecture=sn_resnet"], "makes square images of 32 pixels"),
        (["model.discriminator_widths=[]", "space.d_norm=layer"], "no hidden layers"),
        (
            ["model.conditional=true", "data.dataset=npz", "data.root=points.npy"],
            "needs a dataset with labels",
        ),
    ],
)
def test_a_dry_run_checks_the_architecture_too(run, tmp_path, changes, message):
    np.save(tmp_path / "points.npy", np.zeros((40, 3)))
    options = [part for change in changes for part in ("--set", change)]
    code, _, err = run("run", "--dry-run", *options)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
