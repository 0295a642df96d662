import math

import numpy as np
import pandas as pd
import pytest

from analysis.compare import wilson_interval
from analysis.intervals import interquartile_mean, stratified_bootstrap
from analysis.schema import HYPERPARAMETERS
from analysis.seeds import by_trial

START = 320.0  # the control's untrained generator


def seeds(trial, objectives, **values):
    return [
        {"trial": trial, "seed": s, "objective": v, "final_frechet_distance": v} | values
        for s, v in enumerate(objectives)
    ]


def judged(sweep, words=None):
    verdicts = sweep.trials[["trial", "seed"]].assign(verdict="healthy")
    return verdicts.assign(verdict=words) if words else verdicts


def test_a_row_tells_of_all_seeds_of_a_trial(sweep_of):
    values = [3.0, 9.0, 4.0, 5.0, 30.0]
    sweep = sweep_of([*seeds(4, values, lr_g=1e-3, loss="wgan"), *seeds(2, [7.0], loss="hinge")])
    words = ["healthy", "oscillating", "undertrained", "healthy", "healthy", "undetermined"]
    table = by_trial(sweep, judged(sweep, words), confidence=0.9, seed=3)
    assert list(table) == [
        *("trial", *HYPERPARAMETERS, "seeds", "judged", "failures"),
        *("failure_rate", "failure_low", "failure_high", "iqm", "iqm_low", "iqm_high"),
        "seed_unstable",
    ]
    assert table["trial"].tolist() == [2, 4]
    lone, row = table.iloc[0], table.iloc[1]
    assert row[["lr_g", "loss", "seeds", "judged", "failures"]].tolist() == [1e-3, "wgan", 5, 4, 1]
    assert row["failure_rate"] == 0.25
    assert (row["failure_low"], row["failure_high"]) == wilson_interval(1, 4, 0.9)
    assert row["iqm"] == interquartile_mean(values) == 6
    interval = stratified_bootstrap(values, confidence=0.9, seed=3)
    assert (row["iqm_low"], row["iqm_high"]) == pytest.approx(interval)
    assert lone["iqm"] == 7
    assert math.isnan(lone["iqm_low"])
    assert math.isnan(lone["failure_rate"])
    assert lone[["failure_low", "failure_high"]].tolist() == [0, 1]


def test_no_seed_is_dropped_from_the_mean(sweep_of):
    members = seeds(0, [4.0, None, 6.0])
    members[1]["status"] = "diverged"
    sweep = sweep_of(members)
    (row,) = by_trial(sweep, judged(sweep)).itertuples()
    assert row.iqm == pytest.approx((4 + START + 6) / 3)


def test_trials_where_all_seeds_diverged_or_broke_are_rows_too(sweep_of):
    sweep = sweep_of(
        [
            *seeds(0, [None] * 3, status="diverged"),
            *seeds(1, [None] * 2, status="failed"),
            *seeds(2, [math.nan] * 2),
        ]
    )
    words = ["diverged"] * 3 + ["undetermined"] * 4
    table = by_trial(sweep, judged(sweep, words)).set_index("trial")
    assert table["iqm"].tolist()[::2] == [START, START]
    assert table.loc[0, ["iqm_low", "iqm_high"]].tolist() == [START, START]
    assert table.loc[1, ["iqm", "iqm_low", "iqm_high"]].isna().all()
    assert table["failure_rate"].fillna(-1).tolist() == [1, -1, -1]


@pytest.mark.parametrize(
    ("values", "failed", "unstable"),
    [
        ([5, 5, 5, 5, 5], 1, False),  # 20% is not more than 20%
        ([5, 5, 5, 5, 5], 2, True),
        ([4, 4.5, 5, 5.5, 6], 0, False),
        ([1, 2, 5, 8, 9], 0, True),  # quartiles 2 and 8, median 5
        ([3.75, 3.75, 5, 6.25, 6.25], 0, False),  # exactly half of the median
        ([5, 5, 5, 5], 2, None),
        ([5, 5, None, None, 5, 5, None], 3, True),
    ],
)
def test_a_trial_is_unstable_by_its_failures_or_by_its_spread(sweep_of, values, failed, unstable):
    members = seeds(0, values)
    for row in members:
        row["status"] = "complete" if row["objective"] else "diverged"
    sweep = sweep_of(members)
    words = ["mode_collapse"] * failed + ["healthy"] * (len(values) - failed)
    found = by_trial(sweep, judged(sweep, words))["seed_unstable"]
    assert found.dtype == "boolean"
    assert (found.isna() if unstable is None else found == unstable).all()


def test_seeds_that_were_not_judged_say_nothing_of_stability(sweep_of):
    sweep = sweep_of(seeds(0, [1, 2, 5, 8, 90], status="pruned"))
    assert by_trial(sweep, judged(sweep, ["undertrained"] * 5))["seed_unstable"].isna().all()


def test_the_draws_follow_the_seed(sweep_of):
    values = np.random.default_rng(0).normal(size=9).tolist()
    sweep = sweep_of(seeds(0, values))
    verdicts = judged(sweep)
    first, again, other = (by_trial(sweep, verdicts, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert first["iqm_low"].item() != other["iqm_low"].item()
    assert first["iqm"].item() == other["iqm"].item()


def test_sweeps_are_told_apart_where_there_are_several(sweep_of):
    sweep = sweep_of([*seeds(0, [1.0], sweep="b"), *seeds(0, [2.0, 3.0], sweep="a")])
    verdicts = sweep.trials[["sweep", "trial", "seed"]].assign(verdict="healthy")
    table = by_trial(sweep, verdicts)
    assert table[["sweep", "trial", "seeds", "iqm"]].to_numpy().tolist() == [
        *(["a", 0, 2, 2.5], ["b", 0, 1, 1.0])
    ]


def test_without_trials_there_are_no_rows_but_the_columns(sweep_of):
    sweep = sweep_of([])
    table = by_trial(sweep, judged(sweep))
    assert table.empty
    assert "seed_unstable" in table
