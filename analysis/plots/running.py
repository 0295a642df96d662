"""Curves of the members that are in training, each line with its trial's number at its end."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from analysis.plots.quantities import quantity
from analysis.plots.scales import number_axis
from analysis.plots.theme import chart, color, empty

__all__ = ["plot_running"]


def plot_running(curves: pd.DataFrame, column: str, *, real: float = math.nan) -> alt.TopLevelMixin:
    """A quantity over the steps, a line for each member; a click on a dot is for its trial.

    Args:
        curves: rows of a history: `trial`, `seed`, `step` and the column; what is not finite
            leaves a gap.
        column: what to draw, such as "frechet_distance".
        real: what real data score, a dashed line; none where it is not known.
    """
    shown = quantity(column)
    rows = curves[["trial", "seed", "step", column]].rename(columns={column: "value"})
    if not rows["value"].notna().any():
        return empty(f"{shown.name}: nothing was measured")
    measured = rows[rows["value"].notna()].sort_values("step")
    ends = measured.groupby("trial", as_index=False).last()
    drawn = rows[["value"]].assign(real=real).astype("float64")
    value = number_axis(drawn, shown.title, is_log=shown.is_log)
    steps = alt.X("step:Q", title=quantity("step").title, axis=alt.Axis(format=",d", tickCount=5))
    line = (
        chart(rows)
        .mark_line(strokeWidth=1.8, color=color("accent"), opacity=0.75)
        .encode(x=steps, y=alt.Y("value:Q", **value), detail="seed:N")
    )
    dots = (
        chart(rows)
        .mark_point(filled=True, size=26, color=color("accent"), opacity=1)
        .encode(
            x=steps,
            y=alt.Y("value:Q", **value),
            tooltip=[
                alt.Tooltip("trial:N", title="Trial"),
                alt.Tooltip("seed:N", title="Seed"),
                alt.Tooltip("step:Q", title="Step", format=",d"),
                alt.Tooltip("value:Q", title=shown.name, format=".4~g"),
            ],
        )
    )
    numbers = (
        chart(ends)
        .mark_text(align="left", dx=5, dy=-5, color=color("muted"), fontSize=11)
        .encode(x=steps, y=alt.Y("value:Q", **value), text="trial:N")
    )
    anchor = (
        alt.Chart(alt.InlineData(values=[{"anchor": real}]))
        .mark_rule(strokeDash=[5, 4], strokeWidth=1.2, color=color("muted"))
        .encode(y="anchor:Q")
    )
    layers = [anchor] if math.isfinite(real) else []
    return alt.layer(*layers, line, dots, numbers).properties(
        width="container",
        height=190,
        description=f"{shown.name} over the steps, of the members in training",
    )
