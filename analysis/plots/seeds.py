"""What the seeds of each trial agree on."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.plots.quantities import greater_is_better, quantity
from analysis.plots.scales import number_axis
from analysis.plots.theme import chart, color, empty

__all__ = ["TRIALS_SHOWN", "plot_by_trial"]

TRIALS_SHOWN = 40
"""The best so many trials are drawn."""


def plot_by_trial(
    by_trial: pd.DataFrame, most: int = TRIALS_SHOWN, *, objective: str = "frechet_distance"
) -> alt.TopLevelMixin:
    """The best trials in order: interquartile means over their seeds, with intervals.

    Args:
        by_trial: from `analysis.seeds.by_trial`.
        most: how many trials to draw.
        objective: what the sweep optimised.
    """
    rows = by_trial[by_trial["iqm"].notna()]
    if rows.empty:
        return empty("No trial has ended yet")
    shown = quantity(objective)
    rows = rows.sort_values("iqm", ascending=not greater_is_better(objective)).head(most)
    rows = rows.assign(failed=(rows["failures"].fillna(0) > 0).map({True: "some", False: "none"}))
    value = number_axis(
        rows[["iqm", "iqm_low", "iqm_high"]],
        f"{shown.name}, interquartile mean of the seeds",
        is_log=shown.is_log,
        padding=8,
    )
    columns = ["trial", "iqm", "iqm_low", "iqm_high", "seeds", "failures", "judged", "failed"]
    base = chart(rows, columns).encode(
        x=alt.X(
            "trial:N",
            title="Trial, best first",
            sort=[str(trial) for trial in rows["trial"]],
            axis=alt.Axis(labelAngle=0, labelOverlap=True, domain=False),
        ),
        color=alt.Color(
            "failed:N",
            title="Seeds that failed",
            scale=alt.Scale(domain=["none", "some"], range=[color("accent"), color("alarm")]),
        ),
        tooltip=[
            alt.Tooltip("trial:N", title="Trial"),
            alt.Tooltip("iqm:Q", title=shown.name, format=".4~g"),
            alt.Tooltip("iqm_low:Q", title="Low", format=".4~g"),
            alt.Tooltip("iqm_high:Q", title="High", format=".4~g"),
            alt.Tooltip("seeds:Q", title="Seeds"),
            alt.Tooltip("failures:Q", title="of them failed"),
        ],
    )
    dot = base.mark_point(filled=True, size=60, opacity=1, cursor="pointer").encode(
        y=alt.Y("iqm:Q", **value)
    )
    layers = [dot]
    if rows[["iqm_low", "iqm_high"]].notna().all(axis=1).any():  # one seed has no interval
        rule = base.mark_rule(strokeWidth=4, opacity=0.35, strokeCap="round")
        layers.insert(0, rule.encode(y=alt.Y("iqm_low:Q", **value), y2="iqm_high:Q"))
    return alt.layer(*layers).properties(
        width="container", height=240, description=f"{value['title']}, for the best trials"
    )
