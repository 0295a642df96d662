"""One small panel for each variant: a line in its band."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from analysis.plots.theme import color, panel_title

__all__ = ["small_multiples"]


def small_multiples(
    base: alt.Chart,
    middle: str,
    value: dict[str, Any],
    rows: pd.DataFrame,
    *,
    descending: bool = False,
) -> alt.TopLevelMixin:
    """Panels in order of where their lines end, the best first; a single one is drawn large.

    Args:
        base: a chart on the rows with x and tooltip.
        middle: column of the line; the band is from `low` to `high`.
        value: the y axis, from `analysis.plots.scales.number_axis`.
        rows: in order of x, with `variant`.
        descending: whether the greatest is the best.
    """
    rows = rows.assign(variant=rows["variant"].astype("str"))
    ends = rows.groupby("variant")[middle].last()
    names = list(ends.sort_values(ascending=not descending).index)
    title = value["title"]
    shown = value if len(names) == 1 else value | {"title": None}
    band = base.mark_area(opacity=0.18, color=color("accent")).encode(
        y=alt.Y("low:Q", **shown), y2="high:Q"
    )
    dots = alt.OverlayMarkDef(size=20, color=color("accent"))
    line = base.mark_line(strokeWidth=2, color=color("accent"), point=dots)
    layers = alt.layer(band, line.encode(y=alt.Y(f"{middle}:Q", **shown)))
    if len(names) == 1:
        return layers.properties(width="container", height=240, description=title)
    return (
        layers.properties(width=200, height=120)
        .facet(alt.Facet("variant:N", title=None, sort=names), columns=3)
        .properties(
            title=panel_title(title),
            usermeta={"margin": 44, "gutter": 26, "least": 108},
            description=f"{title}, by variant",
        )
    )
