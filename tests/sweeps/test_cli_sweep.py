"""What a sweep would be is shown, what is wrong with it refused, before anything is written."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from sweeps.config_file import PRESETS, load_config, preset_text

CPU = ["--set", "resources.device=cpu"]


def test_a_dry_run_prints_a_config_and_the_plan_and_writes_nothing(run, tmp_path):
    code, out, err = run("run", "--dry-run", *CPU, "--trials", "8", "--name", "mine")
    assert (code, err) == (0, "")
    assert "#   trials in flight   2 of 8" in out
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "sweep.toml").write_text(out)
    expected = load_config(None, CPU[1:], options={"search.trials": 8, "name": "mine"})
    assert load_config(tmp_path / "sweep.toml") == expected


def test_a_dry_run_shows_the_name_that_the_sweep_would_get(run, tmp_path):
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    _, out, _ = run("run", "--dry-run", *CPU)
    assert tomllib.loads(out)["name"] == "digits-2"


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


def test_a_name_that_exists_is_refused_with_the_way_to_resume(run, tmp_path):
    (tmp_path / "runs" / "mine" / "trials").mkdir(parents=True)
    code, _, err = run("run", "--name", "mine")
    assert code == 2
    assert f"gansweep resume {tmp_path}/runs/mine" in err


@pytest.mark.parametrize("preset", PRESETS)
def test_init_writes_the_commented_preset(preset, run, tmp_path):
    code, out, _ = run("init", "mine.toml", "--preset", preset)
    assert code == 0
    assert "`gansweep run mine.toml --dry-run`" in out
    assert (tmp_path / "mine.toml").read_text() == preset_text(preset)


def test_init_shows_a_command_that_can_be_pasted(run):
    assert "`gansweep run 'my own.toml' --dry-run`" in run("init", "my own.toml")[1]


def test_init_replaces_a_file_only_by_force(run, tmp_path):
    (tmp_path / "sweep.toml").write_text("mine")
    code, _, err = run("init")
    assert code == 2
    assert 'PATH = "sweep.toml": is there already: take another path, or --force' in err
    assert (tmp_path / "sweep.toml").read_text() == "mine"
    assert run("init", "--force")[0] == 0
    assert (tmp_path / "sweep.toml").read_text() == preset_text("digits")
    assert run("init", ".", "--force")[0] == 2


def test_a_sweep_cannot_be_resumed_with_fewer_trials(run, begun_sweep):
    begun_sweep()
    code, _, err = run("resume", "digits", "--trials", "1")
    assert code == 2
    assert "--trials: search.trials = 1: must be >= 2, which the sweep has already" in err


def test_a_damaged_config_of_a_sweep_is_refused(run, begun_sweep):
    (begun_sweep() / "sweep.toml").write_text("[train")
    assert run("status", "digits")[0] == 2
    assert "is no TOML" in run("resume", "digits")[2]


def test_confirm_shows_what_it_would_train(run, begun_sweep, tmp_path):
    begun_sweep("own", "train.batch_size=32", "search.seed=4")
    before = {path.name for path in (tmp_path / "runs").iterdir()}
    code, out, err = run("confirm", "own", "--top", "1", "--dry-run")
    assert (code, err) == (0, "")
    document = tomllib.loads(out)
    assert (document["name"], document["storage"]) == ("own-confirm", str(tmp_path / "runs"))
    assert document["train"] | {"seeds": 10, "batch_size": 32, "steps": 2000} == document["train"]
    assert document["search"]["confirms"] == {"sweep": "own", "trials": [0]}
    assert document["search"]["seed"] == 5
    assert {path.name for path in (tmp_path / "runs").iterdir()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "0"], "Invalid value for '--top'"),
        (["--seeds", "4"], "--seeds = 4: must be >= 5: fewer cannot tell what is unstable"),
        (["--steps", "250"], "--steps: train.steps = 250: must be a multiple of train.eval_every"),
        (["--name", "digits"], 'name = "digits": exists; `gansweep resume '),
        (["--name", "../x"], 'name = "../x": must be 1 to 100 of a-z'),
    ],
)
def test_confirm_refuses_what_cannot_be(run, begun_sweep, options, message):
    begun_sweep()
    code, out, err = run("confirm", "digits", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_before_a_trial_is_sound_there_is_nothing_to_confirm(run, begun_sweep):
    directory = begun_sweep()
    (directory / "trials" / "w0-0.parquet").unlink()
    code, _, err = run("confirm", "digits")
    assert code == 2
    assert 'SWEEP = "digits": no trial was trained to its end and is sound, yet' in err


def test_a_second_confirmation_has_seeds_of_its_own(run, begun_sweep):
    def seed(name):
        code, out, _ = run("confirm", "digits", "--name", name, "--dry-run")
        assert code == 0
        return tomllib.loads(out)["search"]["seed"]

    begun_sweep()
    begun_sweep("other", "search.seed=77")
    begun_sweep("damaged").joinpath("sweep.toml").write_text("[train")
    assert seed("digits-confirm") == 1
    confirms = "search.confirms={sweep='digits', trials=[0, 1]}"
    begun_sweep("digits-confirm", confirms, "search.seed=1")
    assert seed("again") == 2
    code, _, err = run("confirm", "digits")
    assert code == 2
    assert "digits-confirm` goes on with it; another begins with --name" in err


def test_a_sweep_that_confirms_is_not_extended(run, begun_sweep):
    begun_sweep("again", "search.confirms={sweep='digits', trials=[3, 1]}")
    code, _, err = run("resume", "again", "--trials", "3")
    assert code == 2
    assert "--trials: search.trials = 3: must be 2, what it confirms of digits" in err
