import math

import pandas as pd
import pytest

from analysis.report.tables import RATES, gather, varied


def test_what_follows_from_the_loss_is_not_told_apart():
    trials = pd.DataFrame(
        {
            "loss": ["wgan", "wgan-gp", "wgan"],
            "gp_weight": [math.nan, 10.0, math.nan],
            "lr_g": [1e-3, 1e-3, 1e-4],
            "beta1": 0.5,
            "label_smoothing": [math.nan, 0.1, math.nan],
        }
    )
    assert varied(trials) == ["lr_g", "loss"]
    assert varied(trials.assign(gp_weight=[1.0, 10.0, 2.0])) == ["lr_g", "loss", "gp_weight"]


@pytest.mark.slow  # a sweep of its own
def test_variants_are_of_the_first_kind_that_was_searched(writer, tables):
    assert tables.by == "loss"
    settings = [{"loss": "wgan", "penalty": p} for p in ("clip", "wgan-gp")]
    writer.members(*[writer.member(t, hyperparameters=s) for t, s in enumerate(settings)])
    found = gather(writer.load())
    assert found.by == "penalty"
    assert set(found.variants["variant"]) == {"clip", "wgan-gp"}


def test_maps_are_of_the_rates_that_were_searched(tables, single):
    assert set(tables.maps) == set(tables.ranges) == set(RATES)
    assert single.maps == {}


def test_a_sweep_runs_until_all_trials_have_ended(tables, single, nothing):
    assert not tables.is_running  # thirteen of thirteen
    assert single.is_running
    assert single.asked_trials == 8
    assert nothing.asked_trials is None
    assert not nothing.is_running


def test_controls_are_not_a_number_where_they_are_not_known(tables, nothing):
    assert tables.control("real", "frechet_distance") == 0.6
    assert math.isnan(tables.control("real", "no_such_metric"))
    assert math.isnan(nothing.control("real", "frechet_distance"))
