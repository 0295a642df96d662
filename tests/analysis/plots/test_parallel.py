import numpy as np
import pandas as pd
import pytest

from analysis.plots.parallel import plot_parallel
from analysis.plots.theme import is_empty

NAMES = ["lr_g", "loss", "beta1", "label_smoothing"]


def lines(chart, rows_of):
    return {row["trial"]: row for row in rows_of(chart) if "trial" in row}


def test_axes_are_what_differs_and_then_the_objective(by_trial, rows_of):
    chart = plot_parallel(by_trial, NAMES)
    axes = dict.fromkeys(row["axis"] for row in rows_of(chart) if "axis" in row)
    assert list(axes) == ["Learning rate of G", "Loss", "Label smoothing", "Fréchet distance"]


def test_a_rate_is_placed_by_its_logarithm_and_the_best_value_is_on_top(by_trial, rows_of):
    found = lines(plot_parallel(by_trial, NAMES), rows_of)
    assert set(found) == {0, 1, 3}  # trial 2 has no value
    rates = [found[trial]["p0"] for trial in (3, 0, 1)]
    assert rates == pytest.approx([0, 0.5, 1])
    assert (found[0]["p3"], found[3]["p3"]) == (1, 0)


def test_what_a_trial_does_not_have_lies_below_the_axis(by_trial, rows_of):
    chart = plot_parallel(by_trial, NAMES)
    assert lines(chart, rows_of)[1]["p2"] < 0
    assert {"axis": "Label smoothing", "position": -0.12, "text": "none"} in rows_of(chart)


def test_the_best_is_drawn_last_and_strongest(by_trial, rows_of):
    order = list(lines(plot_parallel(by_trial, NAMES), rows_of).values())
    assert [row["trial"] for row in order] == [3, 1, 0]
    assert [row["shade"] for row in order] == [1, 0.5, 0]
    greater = lines(plot_parallel(by_trial, NAMES, objective="mode_entropy"), rows_of)
    assert greater[3]["shade"] == 0
    assert greater[3]["p3"] == 1


def test_not_more_axes_are_drawn_than_asked_for(by_trial, rows_of):
    names = [f"extra_{i}" for i in range(200)]
    many = pd.DataFrame(np.arange(800).reshape(4, 200), columns=names)
    more = pd.concat([by_trial, many], axis=1)
    chart = plot_parallel(more, names, most=5)
    assert len({row["axis"] for row in rows_of(chart) if "axis" in row}) == 6


def test_it_takes_two_trials_that_differ(by_trial):
    assert is_empty(plot_parallel(by_trial.head(1), NAMES))
    assert is_empty(plot_parallel(by_trial, ["beta1"]))
