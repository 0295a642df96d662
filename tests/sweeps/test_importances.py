import logging
import math
import subprocess
import sys

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from sweeps.importances import EVALUATOR, LEAST_TRIALS, importances, write_importances
from sweeps.journal import open_journal
from sweeps.store import Store
from sweeps.study_place import STUDY_NAME


def objective(trial):
    """Decided by lr_g, a little by the loss, and by the smoothing not at all."""
    lr_g = trial.suggest_float("lr_g", 1e-5, 1e-2, log=True)
    loss = trial.suggest_categorical("loss", ["minimax", "wgan"])
    if loss == "minimax":
        trial.suggest_float("label_smoothing", 0.0, 0.3)
    trial.suggest_float("beta1", 0.0, 0.9)
    if lr_g > 6e-3:
        raise optuna.TrialPruned
    return (math.log10(lr_g) + 4) ** 2 + 0.1 * (loss == "wgan")


def study_of(trials, storage=None, direction="minimize", sign=1):
    sampler = optuna.samplers.RandomSampler(seed=0)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, sampler=sampler, study_name=STUDY_NAME, direction=direction
    )
    study.optimize(lambda trial: sign * objective(trial), n_trials=trials)
    return study


def test_what_decides_comes_first_though_some_trials_lack_a_hyperparameter():
    found = importances(study_of(120))
    assert set(found) == {"lr_g", "loss", "label_smoothing", "beta1"}
    assert next(iter(found)) == "lr_g"
    assert found["lr_g"] > 0.5
    assert found["label_smoothing"] < 0.2
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) >= 0


def test_maximising_the_opposite_is_the_same():
    first = importances(study_of(40))
    assert importances(study_of(40, direction="maximize", sign=-1)) == pytest.approx(first)


def test_few_trials_say_nothing():
    study = study_of(LEAST_TRIALS + 10)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    few = optuna.create_study()
    few.add_trials(complete[: LEAST_TRIALS - 1])
    assert importances(few) == {}
    few.add_trial(complete[LEAST_TRIALS - 1])
    assert sum(importances(few).values()) == pytest.approx(1)


def test_where_nothing_is_searched_or_all_trials_are_equal_nothing_is_told():
    fixed = optuna.create_study()
    fixed.optimize(lambda trial: float(trial.number), n_trials=20)
    assert importances(fixed) == {}
    equal = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    equal.optimize(lambda trial: 0 * trial.suggest_float("lr_g", 0, 1), n_trials=20)
    assert importances(equal) == {}


def test_they_are_a_table_that_each_run_replaces(tmp_path):
    journal, store = tmp_path / "study.journal", Store(tmp_path)
    study = study_of(30, open_journal(journal))
    write_importances(journal, store)
    first = pd.read_parquet(tmp_path / "importances")
    complete = len(study.get_trials(states=(TrialState.COMPLETE,)))
    assert set(first["sweep"]) == {tmp_path.name}
    assert set(first["target"]) == {"objective"}
    assert set(first["evaluator"]) == {EVALUATOR}
    assert set(first["trials"]) == {complete}
    wanted = importances(study)
    assert first["hyperparameter"].tolist() == list(wanted)
    assert first["importance"].tolist() == pytest.approx(list(wanted.values()))
    study.optimize(objective, n_trials=20)
    write_importances(journal, store)
    second = pd.read_parquet(tmp_path / "importances")
    assert len(second) == len(first)
    assert second["trials"].min() > complete


def test_without_enough_to_tell_no_table_is_begun(tmp_path):
    write_importances(tmp_path / "study.journal", Store(tmp_path))
    assert list(tmp_path.iterdir()) == []
    study_of(3, open_journal(tmp_path / "study.journal"))
    write_importances(tmp_path / "study.journal", Store(tmp_path))
    assert not (tmp_path / "importances").exists()


def test_a_sweep_does_not_fail_for_its_importances(tmp_path, caplog):
    study_of(30, open_journal(tmp_path / "study.journal"))
    (tmp_path / "importances").write_text("a file where the folder would be")
    with caplog.at_level(logging.WARNING):
        write_importances(tmp_path / "study.journal", Store(tmp_path))
    assert "importances of hyperparameters were not written: cannot write" in caplog.text
    (tmp_path / "other.journal").write_text("no journal\nat all\n")
    write_importances(tmp_path / "other.journal", Store(tmp_path))
    assert len(caplog.records) == 2


@pytest.mark.slow  # a whole run, of enough trials to tell something: Ray takes its seconds
def test_a_run_ends_by_writing_them(tmp_path):
    settings = ["train.steps=20", "train.eval_every=20", "train.eval_images=100", "train.seeds=1"]
    settings += ["search.pruner=none", f"search.trials={LEAST_TRIALS + 2}"]
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "sweeps", "run", "--name", "small", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "runs" / "small" / "importances")
    assert {"lr_g", "lr_d", "loss"} <= set(rows["hyperparameter"])
    assert rows["importance"].sum() == pytest.approx(1)
    assert set(rows["trials"]) == {LEAST_TRIALS + 2}
