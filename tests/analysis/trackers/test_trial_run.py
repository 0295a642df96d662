"""What a tracker is given says of a trial what its tables say."""

import math

import pytest

from analysis.schema import SAMPLES
from analysis.trackers.trial_run import trial_runs
from analysis.verdict import judge

RUNGS = 20


@pytest.fixture
def runs(writer):
    """Two trials of two seeds, the second's first seed diverged, and a third still in training."""
    writer.control()
    writer.members(
        writer.member(0, seed=4, row={"seconds": 10.0}),
        writer.member(0, seed=5, row={"seconds": 20.0}),
        writer.member(1, seed=6, status="diverged", rungs=3, row={"diverged_step": 250}),
        writer.member(1, seed=7),
    )
    writer.members(writer.member(2, seed=8), ended=False)
    rows = [{**writer.member(0, seed=5).keys, "step": 2000, "png": b"png of seed 5"}]
    writer.part("samples", rows, SAMPLES)
    sweep = writer.load()
    return list(trial_runs(sweep, judge(sweep), {0, 1, 2}))


def test_there_is_a_run_for_each_trial_that_has_ended(runs):
    assert [(run.sweep, run.trial, run.name) for run in runs] == [
        ("digits", 0, "trial-00000"),
        ("digits", 1, "trial-00001"),
    ]


def test_a_run_has_the_hyperparameters_that_the_trial_has(runs):
    expected = {"lr_g": 1e-3, "latent_dim": 16, "loss": "nonsaturating", "label_smoothing": 0.0}
    assert runs[0].parameters == expected
    assert {type(value) for value in runs[0].parameters.values()} == {float, int, str}


def test_curves_are_named_by_the_order_of_the_seeds_and_hold_what_was_measured(runs):
    curve = runs[0].curves["frechet_distance/seed2"]
    assert [step for step, _ in curve] == [100 * rung for rung in range(RUNGS + 1)]
    assert curve[1][1] == pytest.approx(5 + 300 * math.exp(-1))
    assert len(runs[1].curves["frechet_distance/seed1"]) == 4


def test_nothing_that_was_not_measured_becomes_a_point(runs):
    assert not any(name.startswith("hq_share") for name in runs[0].curves)
    assert all(math.isfinite(v) for run in runs for c in run.curves.values() for _, v in c)
    assert all(math.isfinite(value) for run in runs for value in run.scores.values())


def test_words_tell_the_seeds_their_verdicts_and_what_became_of_them(runs):
    assert runs[0].tags["seed1"] == "4"
    assert runs[0].tags["verdict.seed1"] == "healthy"
    assert runs[1].tags["status"] == "complete diverged"
    assert runs[1].tags["verdict.seed1"] == "diverged"


def test_scores_have_the_objective_of_the_trial_and_final_metrics_of_each_seed(runs):
    assert runs[0].scores["objective"] == 1.0
    assert runs[0].scores["final_vendi_score/seed2"] == 11.0
    assert runs[1].scores["steps/seed1"] == 300


def test_pictures_are_of_their_own_seed(runs):
    assert [(p.name, p.step, p.png) for p in runs[0].pictures] == [
        ("samples/seed2", 2000, b"png of seed 5")
    ]
    assert runs[1].pictures == []


def test_a_run_lasts_as_long_as_its_longest_seed(writer):
    import pandas as pd

    ended = pd.Timestamp("2026-01-02 03:04:05", tz="UTC")
    row = {"ended_at": ended.to_pydatetime()}
    writer.control()
    writer.members(
        writer.member(0, seed=1, row={**row, "seconds": 5.0}),
        writer.member(0, seed=2, row={**row, "seconds": 65.0}),
    )
    sweep = writer.load()
    (run,) = trial_runs(sweep, judge(sweep), {0})
    assert run.ended == ended.to_pydatetime()
    assert (run.ended - run.began).total_seconds() == 65
