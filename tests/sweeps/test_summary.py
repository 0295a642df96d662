"""What `gansweep status` says is what the rows say."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from sweeps.config_file import load_config
from sweeps.domain import HYPERPARAMETERS
from sweeps.summary import describe, summarise


def rows(*members):
    """(trial, seed, status, trial_objective) of each member."""
    frame = pd.DataFrame(members, columns=["trial", "seed", "status", "trial_objective"])
    frame = frame.astype({"trial": "int64", "seed": "int64", "trial_objective": "float64"})
    frame["status"] = frame["status"].astype("string")
    hyperparameters = dict.fromkeys(HYPERPARAMETERS)
    return frame.assign(steps=100, **(hyperparameters | {"lr_g": 1e-4, "loss": "hinge"}))


TWO_SOUND = [(0, 0, "complete", 5.0), (0, 1, "complete", 5.0), (1, 2, "complete", 3.0)]


def best(trials, *overrides):
    return summarise(load_config(None, overrides), trials).best_trial


def test_members_are_counted_by_status():
    trials = rows(*TWO_SOUND, (2, 3, "pruned", 1.0), (3, 4, "diverged", math.nan))
    summary = summarise(load_config(None), trials)
    assert summary.members == {"complete": 3, "pruned": 1, "diverged": 1, "failed": 0}
    assert (summary.ended, summary.trials, summary.member_steps) == (4, 64, 500)


def test_the_best_trial_is_the_least_or_the_greatest_by_the_objective():
    assert best(rows(*TWO_SOUND)) == 1
    assert best(rows(*TWO_SOUND), "search.objective=mode_entropy") == 0


@pytest.mark.parametrize("status", ["pruned", "failed", "diverged"])
def test_a_trial_that_did_not_end_soundly_is_not_the_best(status):
    assert best(rows(*TWO_SOUND, (2, 3, "complete", 1.0), (2, 4, status, 1.0))) == 1


def test_as_many_seeds_may_diverge_as_allowed():
    trials = rows(*TWO_SOUND, (2, 3, "complete", 1.0), (2, 4, "diverged", 1.0))
    assert best(trials, "search.allowed_diverged_share=0.5") == 2
    assert best(trials, "search.allowed_diverged_share=0.4") == 1


def test_nothing_is_best_where_nothing_ended():
    summary = summarise(load_config(None), rows())
    assert summary.best_trial is None
    assert "0 of 64 trials ended" in describe("digits", load_config(None), summary)


def test_the_description_names_the_best_recipe():
    config = load_config(None)
    text = describe("digits", config, summarise(config, rows(*TWO_SOUND)))
    assert "best     trial 1, frechet_distance 3" in text
    assert "lr_g=0.0001, loss=hinge" in text
    assert "gp_weight" not in text
