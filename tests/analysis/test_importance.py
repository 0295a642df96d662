from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.importance import LEAST_TRIALS, TARGETS, importances
from analysis.schema import IMPORTANCES

TRIALS = 60


def grown(sweep_of, outcome, trials=TRIALS, seeds=1, **config):
    """A sweep of random hyperparameters and its verdicts; outcome(row) -> objective, verdict."""
    generator = np.random.default_rng(0)
    rows, words = [], []
    for trial in range(trials):
        drawn = {
            "lr_g": float(10 ** generator.uniform(-5, -2)),
            "lr_d": float(10 ** generator.uniform(-5, -2)),
            "latent_dim": int(generator.choice([8, 16, 32, 64])),
            "loss": str(generator.choice(["hinge", "lsgan", "minimax", "wgan"])),
            "beta1": 0.5,
        }
        if generator.random() < 0.5:
            drawn |= {"penalty": "wgan-gp", "gp_weight": float(10 ** generator.uniform(-1, 2))}
        for seed in range(seeds):
            objective, word = outcome(drawn)
            row = {"trial": trial, "seed": seed, "objective": objective} | drawn
            rows.append(row | {"trial_objective": objective})
            words.append(word)
    sweep = sweep_of(rows, **config)
    return sweep, sweep.trials[["sweep", "trial", "seed"]].assign(verdict=words)


def shares(table, target):
    return table[table["target"] == target].set_index("hyperparameter")["importance"]


def test_each_target_finds_what_decides_it(sweep_of):
    def outcome(row):
        word = "healthy"
        if row["lr_d"] > 1e-3:
            word = "oscillating"
        if row["loss"] == "wgan":
            word = "mode_collapse"
        return abs(np.log10(row["lr_g"]) + 3.5), word

    table = importances(*grown(sweep_of, outcome))
    assert list(table) == ["target", "hyperparameter", "importance", "method"]
    assert list(dict.fromkeys(table["target"])) == list(TARGETS)
    assert set(table["method"]) == {"forest"}
    assert set(table["hyperparameter"]) == {*("lr_g", "lr_d", "latent_dim", "loss", "penalty"),
                                            "gp_weight"}  # fmt: skip
    for target, first in (("objective", "lr_g"), ("collapse", "loss")):
        found = shares(table, target)
        assert found.index[0] == first
        assert found.iloc[0] > 0.85
        assert found.sum() == pytest.approx(1)
        assert found.is_monotonic_decreasing
        assert (found >= 0).all()
    stability = shares(table, "stability")
    assert set(stability.index[:2]) == {"loss", "lr_d"}
    assert stability.iloc[:2].sum() > 0.9


def test_whether_a_hyperparameter_applies_is_the_credit_of_what_decides_that(sweep_of):
    def outcome(row):
        return (1.0 if row.get("penalty") else 9.0) + 0.01 * np.log10(row["lr_g"]), "healthy"

    found = shares(importances(*grown(sweep_of, outcome)), "objective")
    assert found["penalty"] > 0.7
    assert found["gp_weight"] < 0.1 * found["penalty"]


def test_a_conditional_hyperparameter_that_decides_is_found(sweep_of):
    def outcome(row):
        return np.log10(row.get("gp_weight", 1.0)), "healthy"

    found = shares(importances(*grown(sweep_of, outcome, trials=100)), "objective")
    assert set(found.index[:2]) == {"penalty", "gp_weight"}
    assert found.iloc[:2].sum() > 0.95


@pytest.mark.slow  # forests for a claim that the others almost make
def test_huge_values_do_not_decide_and_more_can_be_better(sweep_of):
    def outcome(row):
        value = abs(np.log10(row["lr_g"]) + 3.5)
        return (1e9 if row["latent_dim"] == 8 and row["lr_d"] > 8e-3 else value), "healthy"

    found = shares(importances(*grown(sweep_of, outcome)), "objective")
    assert found.index[0] == "lr_g"
    greater = {"search": {"objective": "mode_entropy"}}
    same = importances(*grown(sweep_of, lambda row: (-outcome(row)[0], "healthy"), **greater))
    assert shares(same, "objective").index[0] == "lr_g"


def test_numbers_follow_the_seed(sweep_of):
    sweep, verdicts = grown(sweep_of, lambda row: (np.log10(row["lr_g"]), "healthy"))
    first, again, other = (importances(sweep, verdicts, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["importance"].equals(other["importance"])


def test_where_nothing_can_be_told_there_are_no_rows(sweep_of):
    generator = np.random.default_rng(3)
    by_chance = importances(*grown(sweep_of, lambda row: (generator.random(), "healthy")))
    assert by_chance.empty
    alike = importances(*grown(sweep_of, lambda row: (1.0, "diverged")))
    assert alike.empty

    def decided(row):
        return np.log10(row["lr_g"]), "undertrained"

    few = grown(sweep_of, decided, trials=LEAST_TRIALS - 1)
    assert importances(*few).empty
    enough = importances(*grown(sweep_of, decided))
    assert set(enough["target"]) == {"objective"}
    nothing = importances(*grown(sweep_of, decided, trials=0))
    assert nothing.empty
    assert nothing.dtypes.equals(enough.dtypes)


def test_pruned_trials_stand_behind_the_others_and_broken_ones_nowhere(sweep_of):
    # What was ended early was ahead when it was: the rates decide who is ended.
    sweep, verdicts = grown(sweep_of, lambda row: (np.log10(row["lr_d"]), "healthy"))
    ended = sweep.trials["lr_g"] > 3e-4
    trials = sweep.trials.assign(status=np.where(ended, "pruned", "complete"))
    trials.loc[ended, ["objective", "trial_objective"]] = -9.0
    rates = shares(importances(type(sweep)("", {}, trials, sweep.history, sweep.control), verdicts),
                   "objective")  # fmt: skip
    assert set(rates.index[:2]) == {"lr_g", "lr_d"}
    broken = trials.assign(status=np.where(ended, "failed", "complete"))
    rates = shares(importances(type(sweep)("", {}, broken, sweep.history, sweep.control), verdicts),
                   "objective")  # fmt: skip
    assert rates["lr_d"] > 0.9


def test_only_what_is_searched_is_credited(sweep_of):
    space = {"lr_d": {"low": 1e-5, "high": 1e-2}, "loss": {"choices": ["hinge"]}, "lr_g": 1e-3}
    table = importances(*grown(sweep_of, lambda row: (row["lr_d"], "healthy"), space=space))
    assert set(table["hyperparameter"]) == {"lr_d", "loss"}


def test_seeds_of_a_trial_are_shares_of_it(sweep_of):
    generator = np.random.default_rng(0)

    def outcome(row):
        fails = generator.random() < (0.9 if row["lr_g"] > 3e-4 else 0.1)
        return 1.0, "diverged" if fails else "healthy"

    table = importances(*grown(sweep_of, outcome, seeds=4))
    assert set(table["target"]) == {"stability"}
    assert shares(table, "stability")["lr_g"] > 0.85


@pytest.fixture
def written(sweep_of, tmp_path):
    """A sweep that wrote Optuna's importances of its objective, and its verdicts."""
    rows = [
        {"sweep": "s", "target": target, "hyperparameter": name, "importance": value, "trials": 40}
        for target, name, value in (
            *(("objective", "beta1", 0.25), ("objective", "lr_g", 0.75)),
            ("of a newer version", "lr_g", 1.0),
        )
    ]
    (tmp_path / "importances").mkdir()
    for day in (1, 2):  # of an earlier run, all is latent_dim
        found = [row | {"written_at": datetime(2026, 1, day, tzinfo=UTC)} for row in rows]
        if day == 1:
            found = [row | {"hyperparameter": "latent_dim"} for row in found]
        table = pa.Table.from_pylist(found, schema=IMPORTANCES)
        pq.write_table(table, tmp_path / "importances" / f"{day}.parquet")

    def outcome(row):
        return np.log10(row["lr_d"]), "diverged" if row["lr_d"] > 3e-4 else "healthy"

    return grown(sweep_of, outcome, path=str(tmp_path))


def test_what_optuna_wrote_is_taken_and_the_rest_is_grown(written):
    table = importances(*written)
    optuna = table[table["method"] == "optuna"]
    assert optuna[["target", "hyperparameter", "importance"]].to_numpy().tolist() == [
        *(["objective", "lr_g", 0.75], ["objective", "beta1", 0.25])
    ]
    assert set(table["target"]) == {"objective", "stability"}
    assert shares(table, "stability").index[0] == "lr_d"


def test_what_optuna_wrote_can_be_computed_anew(written):
    table = importances(*written, recompute=True)
    assert set(table["method"]) == {"forest"}
    assert shares(table, "objective").index[0] == "lr_d"


def test_what_one_of_several_sweeps_wrote_is_not_taken_for_all(written):
    sweep, verdicts = written
    other = sweep.trials["trial"] % 2 == 0
    trials = sweep.trials.assign(sweep=np.where(other, "s", "t"))
    two = type(sweep)(sweep.path, {}, trials, sweep.history, sweep.control)
    verdicts = verdicts.assign(sweep=trials["sweep"].to_numpy())
    assert set(importances(two, verdicts)["method"]) == {"forest"}
