import pandas as pd

from analysis.plots.budget import plot_budget_curve
from analysis.plots.theme import is_empty


def curve(variants=("all",)):
    return pd.DataFrame(
        [(v, k, 30.0 / k, 20.0 / k, 40.0 / k) for v in variants for k in (1, 2, 3)],
        columns=["variant", "trials", "expected_best", "low", "high"],
    )


def test_the_curve_runs_from_one_trial_to_all(rows_of):
    made = plot_budget_curve(curve())
    assert made.to_dict()["layer"][0]["encoding"]["x"]["scale"]["domain"] == [1, 3]
    assert [row["expected_best"] for row in rows_of(made)] == [30, 15, 10]


def test_each_variant_has_a_panel_and_nothing_has_none():
    assert plot_budget_curve(curve(("a", "b"))).to_dict()["facet"]["sort"] == ["a", "b"]
    assert is_empty(plot_budget_curve(curve()[:0]))
