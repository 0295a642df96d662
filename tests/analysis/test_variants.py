import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.compare import wilson_interval
from analysis.intervals import interquartile_mean, stratified_bootstrap
from analysis.variants import AGAINST, by_variant, improvement, progress

START = 320.0  # the control's untrained generator
MORE = {"search": {"objective": "mode_entropy"}, "untrained": {"mode_entropy": 1.0}}


def members(loss, *trials, first=0, **values):
    """A trial for each list of its seeds' objectives; None diverged."""
    return [
        {
            "trial": first + t,
            "seed": s,
            "loss": loss,
            "objective": objective,
            "trial_objective": float(np.mean([START if o is None else o for o in objectives])),
            "status": "diverged" if objective is None else "complete",
        }
        | values
        for t, objectives in enumerate(trials)
        for s, objective in enumerate(objectives)
    ]


def judged(sweep, *words):
    verdicts = sweep.trials[["trial", "seed"]].assign(verdict="healthy")
    return verdicts.assign(verdict=list(words)) if words else verdicts


# --- by_variant


def test_a_variant_is_all_of_its_trials(sweep_of):
    sweep = sweep_of(
        [
            *members("wgan", [3.0, 4.0], [8.0, None]),
            *members("hinge", [5.0, 7.0], [6.0, 9.0], [2.0, 1.0], first=2),
        ],
        search={"allowed_diverged_share": 0.0},
    )
    words = ["healthy", "oscillating", "undertrained", "diverged", *["healthy"] * 6]
    table = by_variant(sweep, judged(sweep, *words), confidence=0.9, seed=5)
    assert list(table) == [
        *("variant", "trials", "members", "judged", "failures"),
        *("failure_rate", "failure_low", "failure_high", "iqm", "iqm_low", "iqm_high", "best"),
    ]
    hinge, wgan = table.iloc[0], table.iloc[1]
    assert hinge[["variant", "trials", "members", "judged", "failures"]].tolist() == [
        *("hinge", 3, 6, 6, 0)
    ]
    assert wgan[["trials", "members", "judged", "failures"]].tolist() == [2, 4, 3, 2]
    assert (wgan["failure_low"], wgan["failure_high"]) == wilson_interval(2, 3, 0.9)
    assert wgan["iqm"] == interquartile_mean([3, 4, 8, START]) == 6
    values = [5.0, 7.0, 6.0, 9.0, 2.0, 1.0]
    interval = stratified_bootstrap(values, [0, 0, 1, 1, 2, 2], confidence=0.9, seed=5)
    assert (hinge["iqm_low"], hinge["iqm_high"]) == interval
    # The trial of which a seed diverged is infeasible.
    assert table["best"].tolist() == [1.5, 3.5]


def test_the_best_is_the_greatest_where_more_is_better(sweep_of):
    sweep = sweep_of(members("wgan", [3.0], [8.0]), **MORE)
    assert by_variant(sweep, judged(sweep))["best"].item() == 8


def test_variants_of_which_everything_failed_are_rows_too(sweep_of):
    sweep = sweep_of(
        [
            *members("a", [None, None]),
            *members("b", [1.0], first=1, status="failed"),
            *members("c", [5.0, 6.0], first=2, status="pruned"),
        ]
    )
    words = ["diverged", "diverged", "undetermined", "undertrained", "undertrained"]
    table = by_variant(sweep, judged(sweep, *words)).set_index("variant")
    assert table["iqm"].fillna(-1).tolist() == [START, -1, 5.5]
    assert table["failure_rate"].fillna(-1).tolist() == [1, -1, -1]
    assert table["best"].isna().all()


def test_any_hyperparameter_makes_variants(sweep_of):
    rows = [{"trial": t, "d_steps": d, "objective": 1.0} for t, d in enumerate([10, 5, None, 5])]
    sweep = sweep_of(rows)
    table = by_variant(sweep, judged(sweep), by="d_steps")
    assert table["variant"].tolist() == ["5", "10", "none"]
    assert table["trials"].tolist() == [2, 1, 1]
    assert table["variant"].dtype == "str"


def test_sweeps_can_be_compared_though_their_trials_have_the_same_numbers(sweep_of):
    rows = [{"sweep": s, "trial": t, "objective": 1.0} for s in "ab" for t in range(3)]
    sweep = sweep_of(rows)
    verdicts = sweep.trials[["sweep", "trial", "seed"]].assign(verdict="healthy")
    table = by_variant(sweep, verdicts, by="sweep")
    assert table[["variant", "trials"]].to_numpy().tolist() == [["a", 3], ["b", 3]]
    assert by_variant(sweep, verdicts, by="dataset")["trials"].tolist() == [6]


# --- improvement


def pairs_won(a, b):
    return np.mean([(x < y) + 0.5 * (x == y) for x in a for y in b])


def test_the_probability_is_that_over_all_pairs(sweep_of):
    generator = np.random.default_rng(0)
    values = {loss: generator.integers(0, 6, size=(4, 2)).astype(float) for loss in "abc"}
    rows = [
        row
        for first, (loss, trials) in enumerate(values.items())
        for row in members(loss, *trials.tolist(), first=10 * first)
    ]
    table = improvement(sweep_of(rows))
    assert list(table) == ["a", "b", "probability", "low", "high"]
    expected = [(a, b) for a in "abc" for b in "abc" if a != b]
    assert list(zip(table["a"], table["b"], strict=True)) == expected
    for row in table.itertuples():
        wanted = pairs_won(values[row.a].ravel(), values[row.b].ravel())
        assert row.probability == pytest.approx(wanted, abs=1e-12)
        assert 0 <= row.low <= row.high <= 1
    both = table.merge(table, left_on=["a", "b"], right_on=["b", "a"])
    assert (both["probability_x"] + both["probability_y"]).tolist() == pytest.approx([1] * 6)
    assert (both["low_x"] + both["high_y"]).tolist() == pytest.approx([1] * 6)


def test_its_interval_is_that_of_every_possible_draw_of_trials(sweep_of):
    a, b = [[1.0, 5.0], [4.0]], [[2.0, 3.0], [3.5, 6.0], [4.0, 4.0]]
    exact = np.sort(
        [
            pairs_won(np.concatenate(x), np.concatenate(y))
            for x in itertools.product(a, repeat=2)
            for y in itertools.product(b, repeat=3)
        ]
    )
    sweep = sweep_of([*members("a", *a), *members("b", *b, first=2)])
    for confidence in (0.6, 0.8):
        row = improvement(sweep, confidence=confidence, resamples=20_000).iloc[0]
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        expected = np.quantile(exact, ends, method="inverted_cdf")
        assert [row["low"], row["high"]] == pytest.approx(expected)


def test_few_trials_of_many_seeds_are_few(sweep_of):
    rows = [*members("a", [1.0] * 9, [5.0] * 9), *members("b", [3.0] * 9, [4.0] * 9, first=2)]
    assert improvement(sweep_of(rows)).loc[0, ["low", "high"]].tolist() == [0, 1]


def test_failures_lose_and_more_can_be_better(sweep_of):
    rows = [*members("a", [5.0, None]), *members("b", [6.0, 7.0], first=1)]
    assert improvement(sweep_of(rows))["probability"].tolist() == [0.5, 0.5]
    rows = [*members("a", [5.0, 8.0]), *members("b", [6.0, 7.0], [4.0, 4.0], first=1)]
    assert improvement(sweep_of(rows))["probability"].tolist() == [0.25, 0.75]
    assert improvement(sweep_of(rows, **MORE))["probability"].tolist() == [0.75, 0.25]


def test_it_follows_the_seed(sweep_of):
    generator = np.random.default_rng(0)
    trials = [generator.normal(size=(30, 1)).tolist() for _ in range(2)]
    sweep = sweep_of([*members("a", *trials[0]), *members("b", *trials[1], first=30)])
    first, again, other = (improvement(sweep, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert (first["low"] != other["low"]).any()
    assert (first["low"] < first["probability"]).all()
    assert (first["probability"] < first["high"]).all()


def test_a_single_trial_has_no_interval_and_a_broken_one_no_place(sweep_of):
    rows = [
        *members("a", [5.0, 5.5]),
        *members("b", [6.0, 7.0], first=1),
        *members("c", [1.0], first=2, status="failed"),
    ]
    table = improvement(sweep_of(rows)).set_index(["a", "b"])
    assert table.loc[("a", "b"), "probability"] == 1
    assert table["low"].isna().all()
    assert table.loc[[("a", "c"), ("c", "b")], "probability"].isna().all()


@pytest.mark.parametrize(
    "rows", [[], members("a", [1.0, 2.0]), members("a", [1.0], status="failed")]
)
def test_with_less_than_two_variants_there_are_no_pairs(sweep_of, rows):
    table = improvement(sweep_of(rows))
    assert table.empty
    assert list(table) == ["a", "b", "probability", "low", "high"]


# --- progress


def rungs(trial, values, seconds=None, **more):
    return [
        {
            "trial": trial,
            "rung": r,
            "frechet_distance": v,
            "seconds": float(r if seconds is None else seconds[r]),
        }
        | more
        for r, v in enumerate(values)
    ]


def test_progress_is_the_best_so_far_and_those_that_ended_stay(sweep_of):
    rows = [
        {"trial": 0, "loss": "a"},
        {"trial": 1, "loss": "a", "status": "pruned"},
        {"trial": 2, "loss": "a", "status": "diverged"},
    ]
    history = [
        *rungs(0, [300.0, 50.0, 60.0, 10.0]),
        *rungs(1, [310.0, 200.0]),
        *rungs(2, [320.0, 100.0, math.nan]),
        *rungs(9, [300.0, 1.0, 1.0, 1.0]),  # still in training
    ]
    table = progress(sweep_of(rows, history=history))
    assert list(table) == ["variant", "g_updates", "best", "low", "high"]
    assert table["g_updates"].tolist() == [0, 100, 200, 300]
    assert table["best"].tolist() == [310, 100, 100, 100]
    assert table["low"].tolist() == [305, 75, 75, 55]
    assert table["high"].tolist() == [315, 150, 150, 150]


def test_it_is_held_against_the_updates_of_each_network_and_the_time(sweep_of):
    rows = [{"trial": 0, "loss": "a", "d_steps": 1}, {"trial": 1, "loss": "a", "d_steps": 5}]
    history = [*rungs(0, [300.0, 50.0]), *rungs(1, [300.0, 30.0], seconds=[0, 7])]
    sweep = sweep_of(rows, history=history)
    curves = {against: progress(sweep, against=against) for against in AGAINST}
    assert curves["d_updates"]["d_updates"].tolist() == [0, 100, 500]
    assert curves["d_updates"]["best"].tolist() == [300, 175, 40]
    assert curves["seconds"]["seconds"].tolist() == [0, 1, 7]
    assert curves["g_updates"]["best"].tolist() == [300, 40]
    with pytest.raises(ValueError, match="against = 'images': must be one of g_updates, d_updates"):
        progress(sweep, against="images")


def test_more_can_be_better_in_progress_too(sweep_of):
    rows = [{"trial": t, "loss": "a"} for t in range(2)]
    history = [
        {"trial": t, "rung": r, "mode_entropy": v}
        for t, values in enumerate([[1.0, 5.0, 3.0], [2.0, 1.0, 9.0]])
        for r, v in enumerate(values)
    ]
    table = progress(sweep_of(rows, history=history, **MORE))
    assert table["best"].tolist() == [1.5, 3.5, 7]
    assert (table["low"] <= table["best"]).all()
    assert (table["best"] <= table["high"]).all()


def test_a_lost_beginning_is_an_untrained_generator_or_nothing(sweep_of):
    rows = [{"trial": 0, "loss": "a"}, {"trial": 1, "loss": "a"}]
    history = [*rungs(0, [math.nan, 8.0, 6.0]), *rungs(1, [math.nan, math.nan, 4.0])]
    known = progress(sweep_of(rows, history=history))
    assert known["best"].tolist() == [START, (8 + START) / 2, 5]
    unknown = progress(sweep_of(rows, history=history, untrained={}))
    assert unknown["g_updates"].tolist() == [100, 200]
    assert unknown["best"].tolist() == [8, 5]


def test_fine_costs_become_even_steps(sweep_of):
    generator = np.random.default_rng(0)
    rows = [{"trial": t, "loss": "a"} for t in range(40)]
    history = []
    for t in range(40):
        seconds = np.cumsum(generator.random(20))
        history += rungs(t, generator.random(20).tolist(), seconds=seconds)
    sweep = sweep_of(rows, history=history)
    table = progress(sweep, against="seconds")
    assert len(table) == 101
    assert np.diff(table["seconds"]) == pytest.approx([table["seconds"].iloc[-1] / 100] * 100)
    # Against the definition, at each of the points.
    for row in table.iloc[::10].itertuples():
        best = []
        for _, part in sweep.history.groupby("trial"):
            begun = (part["seconds"] <= row.seconds) | (part["rung"] == 0)
            best.append(part.loc[begun, "frechet_distance"].min())
        assert row.best == pytest.approx(np.median(best))


def test_of_nothing_there_is_no_progress_and_no_variant(sweep_of):
    empty = sweep_of([])
    assert progress(empty).empty
    assert list(progress(empty, against="seconds"))[1] == "seconds"
    assert by_variant(empty, judged(empty)).empty
    with pytest.raises(ValueError, match="by = 'nothing'"):
        progress(empty, by="nothing")
