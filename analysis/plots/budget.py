"""What a sweep of k trials finds."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.plots.multiples import small_multiples
from analysis.plots.quantities import greater_is_better, quantity
from analysis.plots.scales import number_axis
from analysis.plots.theme import chart, empty

__all__ = ["plot_budget_curve"]


def plot_budget_curve(
    budget: pd.DataFrame, *, objective: str = "frechet_distance"
) -> alt.TopLevelMixin:
    """The expected best objective after so many trials, with its interval.

    Args:
        budget: from `analysis.budget.budget_curve`; its variants are drawn side by side.
        objective: what the sweep optimised.
    """
    rows = budget[budget["expected_best"].notna()]
    if rows.empty:
        return empty("No trial was finished yet")
    shown = quantity(objective)
    value = number_axis(
        rows[["expected_best", "low", "high"]], f"Expected best {shown.name}", is_log=shown.is_log
    )
    whole = int(rows["trials"].max())
    base = chart(rows).encode(
        x=alt.X(
            "trials:Q",
            title="Budget (trials)",
            scale=alt.Scale(domain=[1, max(2, whole)]),
            axis=alt.Axis(tickMinStep=1, tickCount=5, format="d"),
        ),
        tooltip=[
            alt.Tooltip("variant:N", title="Variant"),
            alt.Tooltip("trials:Q", title="Trials"),
            alt.Tooltip("expected_best:Q", title="Expected best", format=".4~g"),
            alt.Tooltip("low:Q", title="Low", format=".4~g"),
            alt.Tooltip("high:Q", title="High", format=".4~g"),
        ],
    )
    return small_multiples(
        base, "expected_best", value, rows, descending=greater_is_better(objective)
    )
