"""Every member as a dot, at two of its numbers."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import pandas as pd

from analysis.plots.quantities import quantity
from analysis.plots.scales import number_axis
from analysis.plots.theme import chart, color, empty, verdict_names, verdict_scale

__all__ = ["plot_members"]


def plot_members(
    members: pd.DataFrame,
    *,
    x: str = "lr_g",
    y: str = "lr_d",
    real: tuple[float, float] | None = None,
) -> alt.TopLevelMixin:
    """Every member at its x and y, in the colour of its verdict.

    Args:
        members: `trial`, `seed`, `verdict`, `loss`, and the columns x and y: hyperparameters, or
            what the member came to in the end ("final_coverage_k5").
        x: across.
        y: upwards.
        real: what real data score in both, drawn as a cross.
    """
    rows = members[members[x].notna() & members[y].notna()]
    if rows.empty or (rows[x].nunique() < 2 and rows[y].nunique() < 2):
        return empty("No two members differ in these")
    rows = rows.assign(verdict=verdict_names(rows["verdict"]))
    chosen = alt.selection_point(name="verdict", fields=["verdict"], bind="legend")
    known = pd.DataFrame([real], columns=[x, y]) if real and all(map(math.isfinite, real)) else None
    across, up = (_axis(rows, known, name) for name in (x, y))
    dots = (
        chart(rows, ["trial", "seed", "verdict", "loss", x, y])
        .mark_point(
            filled=True, size=64, stroke=color("surface"), strokeWidth=0.7, cursor="pointer"
        )
        .encode(
            x=alt.X(f"{x}:Q", **across),
            y=alt.Y(f"{y}:Q", **up),
            color=alt.Color("verdict:N", title=None, scale=verdict_scale(rows["verdict"])),
            opacity=alt.when(chosen).then(alt.value(0.9)).otherwise(alt.value(0.08)),
            tooltip=[
                alt.Tooltip("trial:N", title="Trial"),
                alt.Tooltip("seed:N", title="Seed"),
                alt.Tooltip("verdict:N", title="Verdict"),
                alt.Tooltip("loss:N", title="Loss"),
                alt.Tooltip(f"{x}:Q", title=quantity(x).name, format=".3~g"),
                alt.Tooltip(f"{y}:Q", title=quantity(y).name, format=".3~g"),
            ],
        )
        .add_params(chosen)
    )
    return alt.layer(*_cross(known, x, y, across, up), dots).properties(
        width="container",
        height=320,
        description=f"Verdicts by {quantity(x).name} and {quantity(y).name}",
    )


def _axis(rows: pd.DataFrame, known: pd.DataFrame | None, name: str) -> dict[str, Any]:
    numbers = rows[[name]] if known is None else pd.concat([rows[[name]], known[[name]]])
    shown = quantity(name)
    return number_axis(numbers, shown.title, is_log=shown.is_log, padding=12)


def _cross(
    known: pd.DataFrame | None, x: str, y: str, across: dict[str, Any], up: dict[str, Any]
) -> list[alt.LayerChart]:
    if known is None:
        return []
    place = chart(known).encode(x=alt.X(f"{x}:Q", **across), y=alt.Y(f"{y}:Q", **up))
    cross = place.mark_point(shape="cross", size=170, filled=True, color=color("text"))
    word = place.mark_text(align="right", dx=-12, fontWeight=600, text="real data")
    return [cross + word]
