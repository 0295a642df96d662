import math

import pandas as pd
import pytest

from analysis.schema import HYPERPARAMETERS
from analysis.scores import (
    as_good_as_none,
    greater_is_better,
    is_stopped,
    member_scores,
    objective_name,
    trial_scores,
    variants,
    verdict_of,
)

START = 320.0  # the control's untrained generator, in `sweep_of`
UP = {"search": {"objective": "mode_entropy"}, "untrained": {"mode_entropy": 1.5}}


@pytest.mark.parametrize(
    ("search", "name", "greater"),
    [
        ({}, "frechet_distance", False),
        ({"objective": "mode_kl"}, "mode_kl", False),
        ({"objective": "modes_hit"}, "modes_hit", True),
    ],
)
def test_the_config_says_what_the_sweep_was_after(sweep_of, search, name, greater):
    sweep = sweep_of([], search=search)
    assert (objective_name(sweep), greater_is_better(sweep)) == (name, greater)


def test_diverged_and_unmeasured_members_count_as_untrained_and_broken_ones_not_at_all(sweep_of):
    sweep = sweep_of(
        [
            {"trial": 0, "objective": 4.0},
            {"trial": 1, "status": "pruned", "objective": 9.0},
            {"trial": 2, "status": "diverged"},
            {"trial": 3, "objective": math.nan},
            {"trial": 4, "objective": math.inf},
            {"trial": 5, "status": "failed"},
        ]
    )
    assert member_scores(sweep).tolist()[:5] == [4, 9, START, START, START]
    assert math.isnan(member_scores(sweep)[5])


def test_an_untrained_member_is_worth_what_it_was_before_its_own_first_step(sweep_of):
    members = [{"trial": t, "status": "diverged"} for t in range(3)]
    history = [
        {"trial": 0, "rung": 0, "frechet_distance": 300.0},
        {"trial": 0, "rung": 1, "frechet_distance": 7.0},
        {"trial": 1, "rung": 0, "frechet_distance": math.inf},
    ]
    assert member_scores(sweep_of(members, history=history)).tolist() == [300, START, START]
    assert member_scores(sweep_of(members, untrained={})).isna().all()
    assert member_scores(sweep_of(members, **UP)).tolist() == [1.5] * 3


def test_other_metrics_are_scored_alike(sweep_of):
    members = [{"trial": 0, "final_frechet_distance": 8.0}, {"trial": 1, "status": "diverged"}]
    sweep = sweep_of(members, search={"objective": "mode_entropy"})
    assert member_scores(sweep, "frechet_distance").tolist() == [8, START]


def test_a_trial_is_what_its_seeds_came_to(sweep_of):
    def seeds(trial, *statuses, told=None):
        return [
            {"trial": trial, "seed": s, "status": status, "objective": 2.0, "trial_objective": told}
            for s, status in enumerate(statuses)
        ]

    members = [
        *seeds(5, "complete", "complete", told=2.0),
        *seeds(0, "complete", "diverged", told=161.0),
        *seeds(1, "pruned", "diverged", told=170.0),
        *seeds(2, "diverged", "diverged"),
        *seeds(3, "failed", "failed"),
        *seeds(4, "complete", "complete"),
    ]
    rows = trial_scores(sweep_of(members, search={"allowed_diverged_share": 0.5}))
    assert rows["trial"].tolist() == list(range(6))
    assert rows["status"].tolist() == [
        *("complete", "pruned", "diverged", "failed", "diverged", "complete")
    ]
    assert rows["score"].tolist()[:3] == [161, 170, START]
    assert math.isnan(rows["score"][3])
    assert rows["score"].tolist()[4:] == [2, 2]
    strict = trial_scores(sweep_of(members, search={"allowed_diverged_share": 0.0}))
    assert strict["status"].tolist()[0] == "diverged"
    assert is_stopped(strict).tolist() == [True, True, True, False, True, False]
    assert set(HYPERPARAMETERS) <= set(rows)


def test_trials_of_two_sweeps_with_one_number_are_two(sweep_of):
    members = [
        {"sweep": s, "trial": 0, "seed": 0, "objective": v, "trial_objective": v, "loss": s}
        for s, v in (("b", 1.0), ("a", 2.0))
    ]
    rows = trial_scores(sweep_of(members))
    assert rows[["sweep", "score", "loss"]].to_numpy().tolist() == [["a", 2, "a"], ["b", 1, "b"]]


def test_without_members_there_are_no_scores_but_the_columns(sweep_of):
    assert member_scores(sweep_of([])).empty
    rows = trial_scores(sweep_of([]))
    assert rows.empty
    assert list(rows) == ["sweep", "trial", "status", "score", *HYPERPARAMETERS]


def test_stopped_trials_are_never_better_than_a_complete_one():
    scores = pd.Series([3.0, 8.0, 5.0, 90.0, math.nan])
    stopped = pd.Series([False, False, True, True, True])
    assert as_good_as_none(scores, stopped, greater=False).tolist() == [3, 8, 8, 90, 8]
    assert as_good_as_none(scores, stopped, greater=True).tolist() == [3, 8, 3, 3, 3]
    alone = pd.Series([True] * 5)
    pd.testing.assert_series_equal(as_good_as_none(scores, alone, greater=False), scores)


def test_variants_are_words_in_order_of_what_they_name(sweep_of):
    values = [64, 8, None, 16, 8]
    members = [{"trial": t, "latent_dim": v, "lr_g": 1e-4} for t, v in enumerate(values)]
    trials = sweep_of(members).trials
    named = variants(trials, "latent_dim")
    assert named.tolist() == ["64", "8", "none", "16", "8"]
    assert named.cat.categories.tolist() == ["8", "16", "64", "none"]
    assert variants(trials, "lr_g").unique().tolist() == ["0.0001"]
    assert variants(trials, None).tolist() == ["all"] * 5
    assert variants(trials.iloc[:0], "loss").empty


def test_a_column_that_there_is_not_is_named(sweep_of):
    with pytest.raises(ValueError, match=r"by = 'los': must be a hyperparameter: lr_g, lr_d"):
        variants(sweep_of([]).trials, "los")


def test_verdicts_find_their_members_whatever_their_order(sweep_of):
    trials = sweep_of([{"trial": t, "seed": s} for t in (1, 0) for s in (3, 2)]).trials
    verdicts = pd.DataFrame(
        {"trial": [0, 1, 1], "seed": [3, 2, 3], "verdict": ["healthy", "diverged", "oscillating"]}
    )
    found = verdict_of(trials, verdicts)
    assert found.isna().tolist() == [False, False, False, True]
    assert found.tolist()[:3] == ["oscillating", "diverged", "healthy"]


def test_verdicts_on_several_sweeps_need_to_say_which(sweep_of):
    trials = sweep_of([{"sweep": s, "trial": 0} for s in "ab"]).trials
    verdicts = pd.DataFrame(
        {"sweep": ["b", "a"], "trial": 0, "seed": 0, "verdict": ["healthy", "diverged"]}
    )
    assert verdict_of(trials, verdicts).tolist() == ["diverged", "healthy"]
    for wrong in (verdicts.drop(columns="sweep"), verdicts.drop(columns="sweep").head(1)):
        with pytest.raises(ValueError, match="verdicts: of several sweeps need a column sweep"):
            verdict_of(trials, wrong)
