"""What a sweep said of its winners, held against seeds that they were not chosen by."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.compare import wilson_interval
from analysis.confirm import Finding, confirmed
from analysis.intervals import interquartile_mean, stratified_bootstrap
from analysis.schema import HYPERPARAMETERS


def members(trial, values, *, first=0, said=None, **rest):
    return [
        {"trial": trial, "seed": first + i, "objective": v, "final_frechet_distance": v}
        | {"trial_objective": np.mean(values) if said is None else said}
        | rest
        for i, v in enumerate(values)
    ]


FRESH = [10.0, 10.5, 9.5, 10.2, 9.8, 10.1, 9.9, 10.4, 9.6, 10.3]
LOW, HIGH = stratified_bootstrap(FRESH)


@pytest.fixture
def pair(sweep_of):
    """A sweep of one winner, trial 7, and the sweep that confirms it."""

    def make(said, fresh=FRESH, *, objective="frechet_distance", there=None, here=None):
        search = {"objective": objective, "allowed_diverged_share": 0.0}
        confirms = {"confirms": {"sweep": "s", "trials": [7]}}
        original = sweep_of(members(7, [said, said], first=14, **(there or {})), search=search)
        rows = members(0, fresh, first=1_000_000, **(here or {}))
        return original, sweep_of(rows, search=search | confirms)

    return make


def quick(original, again, **options):
    """As if every seed were healthy, since judging takes long."""
    verdicts = again.trials[["trial", "seed"]].assign(verdict="healthy")
    return confirmed(original, again, verdicts, **options)


def finding(pair):
    return quick(*pair)["finding"].iloc[0]


def test_a_row_has_what_was_said_and_what_the_fresh_seeds_say(pair):
    table = quick(*pair(9.0, there={"lr_g": 1e-3, "loss": "wgan"}))
    assert list(table)[:2] == ["trial", "again"]
    (row,) = table.to_dict("records")
    assert (row["trial"], row["again"], row["lr_g"], row["loss"]) == (7, 0, 1e-3, "wgan")
    assert (row["said"], row["said_seeds"]) == (9.0, 2)
    assert (row["seeds"], row["judged"], row["failures"]) == (10, 10, 0)
    assert (row["failure_low"], row["failure_high"]) == wilson_interval(0, 10)
    assert row["iqm"] == interquartile_mean(FRESH)
    assert (row["iqm_low"], row["iqm_high"]) == pytest.approx((LOW, HIGH))
    assert row["verdicts"] == "10 healthy"
    assert set(HYPERPARAMETERS) < set(table)


@pytest.mark.parametrize(
    ("said", "less_is_better", "more_is_better"),
    [
        (LOW - 0.01, Finding.WORSE, Finding.BETTER),
        (LOW, Finding.HOLDS_UP, Finding.HOLDS_UP),
        (10.0, Finding.HOLDS_UP, Finding.HOLDS_UP),
        (HIGH, Finding.HOLDS_UP, Finding.HOLDS_UP),
        (HIGH + 0.01, Finding.BETTER, Finding.WORSE),
    ],
)
def test_what_was_said_holds_up_within_the_interval(pair, said, less_is_better, more_is_better):
    assert finding(pair(said)) == less_is_better
    assert finding(pair(said, objective="mode_entropy")) == more_is_better


def healthy(writer, trial, seed, frechet, **rest):
    values = {"objective": frechet, "final_frechet_distance": frechet, "trial_objective": frechet}
    truth = {"frechet": lambda r: frechet + 300 * np.exp(-r), "row": values}
    return writer.member(trial, seed=seed, **(truth | rest))


@pytest.mark.parametrize(
    ("failing", "spread", "expected"),
    [
        (1, 0.1, Finding.HOLDS_UP),
        (2, 0.1, Finding.HOLDS_UP),
        (3, 0.1, Finding.UNSTABLE),
        (0, 4.0, Finding.UNSTABLE),
    ],
)
def test_what_fails_too_often_or_differs_too_much_is_unstable(
    writer, sweep_of, failing, spread, expected
):
    collapsed = {"shares": lambda r: writer.even(2)}
    values = [5 + spread * (i - 4.5) / 4.5 for i in range(10)]
    writer.config(
        '[search]\nobjective = "frechet_distance"\nconfirms = { sweep = "s", trials = [7] }\n'
        "[train]\nsteps = 2000\n"
    )
    writer.control()
    writer.members(
        *(
            healthy(writer, 0, 1_000_000 + i, value, **(collapsed if i < failing else {}))
            for i, value in enumerate(values)
        )
    )
    (row,) = confirmed(sweep_of(members(7, [5.0, 5.0])), writer.load()).to_dict("records")
    assert row["finding"] == expected
    assert (row["failures"], row["judged"]) == (failing, 10)
    assert (row["failure_low"], row["failure_high"]) == wilson_interval(failing, 10)
    words = [f"{10 - failing} healthy", *([f"{failing} mode_collapse"] if failing else [])]
    assert row["verdicts"] == ", ".join(words)


def test_a_diverged_seed_counts_as_untrained(pair):
    original, again = pair(10.0)
    again.trials.loc[:3, ["status", "objective"]] = ["diverged", np.nan]
    (row,) = quick(original, again).itertuples()
    assert row.iqm == interquartile_mean([320.0] * 4 + FRESH[4:])


def test_configurations_come_in_the_order_of_the_original_and_those_in_training_are_null(sweep_of):
    search = {"confirms": {"sweep": "s", "trials": [9, 4, 6]}}
    there = [*members(4, [4.0]), *members(6, [6.0], first=1), *members(9, [9.0], first=2)]
    here = [*members(0, [9.0] * 5, first=100), *members(2, [6.0] * 5, first=110)]
    table = quick(sweep_of(there), sweep_of(here, search=search))
    assert table["trial"].tolist() == [9, 4, 6]
    assert table["again"].tolist() == [0, 1, 2]
    assert table["said"].tolist() == [9.0, 4.0, 6.0]
    assert table["iqm"].tolist()[::2] == [9.0, 6.0]
    assert table["finding"].tolist() == [Finding.HOLDS_UP, None, Finding.HOLDS_UP]
    unended = table.drop(columns=["trial", "again", "said", "said_seeds", *HYPERPARAMETERS])
    assert unended.iloc[1].isna().all()


def test_before_any_has_ended_there_is_a_row_for_each(sweep_of):
    search = {"confirms": {"sweep": "s", "trials": [1, 0]}}
    there = sweep_of([*members(0, [4.0]), *members(1, [6.0], first=1)])
    table = quick(there, sweep_of([], search=search))
    assert table["said"].tolist() == [6.0, 4.0]
    assert table["finding"].isna().all()


def test_the_draws_are_keyed_by_the_seed(pair):
    def ends(**options):
        table = quick(*pair(10.0, np.geomspace(1, 99, 10).tolist()), **options)
        return table[["iqm_low", "iqm_high"]].iloc[0].tolist()

    assert ends(seed=1) == ends(seed=1) != ends(seed=2)
    (low, high), (wide_low, wide_high) = ends(confidence=0.5), ends(confidence=0.99)
    assert wide_low < low < high < wide_high


def test_seeds_that_the_winners_were_chosen_by_are_refused(pair):
    original, again = pair(10.0)
    again.trials["seed"] = np.arange(15, 25)
    with pytest.raises(ValueError, match=r"again: has the seeds 15 to 15; .*must have none"):
        quick(original, again)


def test_other_hyperparameters_are_refused_but_not_those_that_were_not_recorded_yet(pair):
    quick(*pair(10.0, there={"d_norm": None}, here={"d_norm": "none"}))
    changed = pair(10.0, there={"lr_g": 1e-3}, here={"lr_g": 1e-4})
    with pytest.raises(ValueError, match=r"lr_g: of trial 7 is 0\.0001 in .*, 0\.001 in the sweep"):
        quick(*changed)


def test_a_sweep_that_confirms_nothing_is_refused(pair):
    original, again = pair(10.0)
    plain = dataclasses.replace(again, config={})
    with pytest.raises(ValueError, match="again: nowhere confirms no sweep"):
        quick(original, plain)


def test_numbers_of_different_extractors_are_not_compared(pair):
    original, again = pair(10.0)
    original.control["extractor"] = "a"
    again.control["extractor"] = "b"
    (row,) = quick(original, again).itertuples()
    assert (row.said, row.iqm, row.finding) == (10.0, interquartile_mean(FRESH), None)
    again.control["extractor"] = "a"
    assert finding((original, again)) == Finding.HOLDS_UP


def test_the_verdicts_are_found_where_they_are_not_given(pair):
    (row,) = confirmed(*pair(10.0)).itertuples()
    assert (row.verdicts, row.judged) == ("10 undetermined", 0)
    assert (row.failure_low, row.failure_high) == (0, 1)
    assert pd.isna(row.failure_rate)
    assert pd.isna(row.seed_unstable)
    assert row.finding == Finding.HOLDS_UP
