"""Losses and metrics over the steps: bands of a sweep by verdict, curves of single members."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from analysis.plots.quantities import quantity
from analysis.plots.scales import number_axis
from analysis.plots.theme import (
    chart,
    color,
    empty,
    panel_title,
    verdict_names,
    verdict_scale,
)

__all__ = ["plot_bands", "plot_curves"]

_HEIGHT = 210


def plot_bands(
    bands: pd.DataFrame,
    metric: str,
    *,
    real: float | None = None,
    untrained: float | None = None,
) -> alt.TopLevelMixin:
    """Median and quartiles of a metric over the steps, for the members of each verdict.

    Args:
        bands: from `analysis.trajectories.bands`; drawn side by side where there are variants.
        metric: one of its metrics.
        real: what real data score, a dashed line.
        untrained: what an untrained generator scores, a dotted line.
    """
    rows = bands[bands["metric"] == metric]
    shown = quantity(metric)
    if rows.empty:
        return empty(f"{shown.name}: nothing was measured")
    rows = rows.assign(verdict=verdict_names(rows["verdict"]))
    drawn = rows[["low", "high"]].assign(real=real, untrained=untrained).astype("float64")
    value = number_axis(drawn, shown.title, is_log=shown.is_log)
    many = rows["variant"].nunique() > 1
    value = value | {"title": None} if many else value
    base = chart(rows.drop(columns="metric")).encode(
        x=_steps(),
        color=alt.Color(
            "verdict:N", title=None, scale=verdict_scale(rows["verdict"]), legend=alt.Legend()
        ),
    )
    chosen = alt.selection_point(name="verdict", fields=["verdict"], bind="legend")
    faded = alt.when(chosen).then(alt.value(0.16)).otherwise(alt.value(0.02))
    area = base.mark_area(interpolate="monotone").encode(
        y=alt.Y("low:Q", **value), y2="high:Q", opacity=faded
    )
    line = base.mark_line(strokeWidth=2, interpolate="monotone").encode(
        y=alt.Y("median:Q", **value),
        opacity=alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.12)),
    )
    points = base.mark_point(filled=True, size=36, opacity=0).encode(
        y=alt.Y("median:Q", **value),
        tooltip=[
            alt.Tooltip("verdict:N", title="Verdict"),
            alt.Tooltip("step:Q", title="Step", format=",d"),
            alt.Tooltip("median:Q", title="Median", format=".4~g"),
            alt.Tooltip("low:Q", title="Lower quartile", format=".4~g"),
            alt.Tooltip("high:Q", title="Upper quartile", format=".4~g"),
            alt.Tooltip("members:Q", title="Members"),
        ],
    )
    layers = alt.layer(area, line, points.add_params(chosen))
    if many:
        return _side_by_side(layers, rows, shown.title)
    anchors = [_anchor(value, dash) for value, dash in ((real, [5, 4]), (untrained, [1, 4]))
               if value is not None and math.isfinite(value)]  # fmt: skip
    return alt.layer(*anchors, layers).properties(
        width="container",
        height=_HEIGHT,
        description=f"{shown.name} over the steps, by verdict: medians and quartiles",
    )


def plot_curves(curves: pd.DataFrame, column: str, verdicts: pd.DataFrame) -> alt.TopLevelMixin:
    """One measured quantity over the steps, a line for each seed, a band from a fault's onset on.

    Args:
        curves: rows of a history (`seed`, `step` and the column).
        column: what to draw, such as "d_loss_mean".
        verdicts: of these members: `seed`, `verdict`, `onset_step`; the band is in the verdict's
            colour, from its onset to the member's last step.
    """
    shown = quantity(column)
    rows = curves[["seed", "step", column]].rename(columns={column: "value"})
    words = verdicts[["seed", "verdict", "onset_step"]].assign(
        verdict=verdict_names(verdicts["verdict"])
    )
    rows = rows.merge(words[["seed", "verdict"]], on="seed", how="left")
    onsets = words.merge(curves.groupby("seed")["step"].max().rename("end"), on="seed")
    onsets = onsets[onsets["onset_step"].notna()]
    value = number_axis(rows[["value"]], shown.title, is_log=shown.is_log)
    hue = alt.Color("verdict:N", scale=verdict_scale(words["verdict"]), legend=None)
    band = (
        chart(onsets).mark_rect(opacity=0.13).encode(x=alt.X("onset_step:Q"), x2="end:Q", color=hue)
    )
    line = (
        chart(rows)
        .mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=14, opacity=0.9))
        .encode(
            x=_steps(),
            y=alt.Y("value:Q", **value),
            color=hue,
            strokeDash=alt.StrokeDash("seed:N", legend=None),
            detail="seed:N",
            tooltip=[
                alt.Tooltip("seed:N", title="Seed"),
                alt.Tooltip("verdict:N", title="Verdict"),
                alt.Tooltip("step:Q", title="Step", format=",d"),
                alt.Tooltip("value:Q", title=shown.name, format=".4~g"),
            ],
        )
    )
    # Without rows a layer has no extent, which Vega warns of.
    layers = [band, line] if len(onsets) else [line]
    return alt.layer(*layers).properties(
        width="container", height=130, description=f"{shown.name} over the steps, by seed"
    )


def _steps() -> alt.X:
    title = quantity("step").title
    return alt.X("step:Q", title=title, axis=alt.Axis(format=",d", tickCount=5))


def _anchor(value: float, dash: list[int]) -> alt.Chart:
    return (
        alt.Chart(alt.InlineData(values=[{"anchor": value}]))
        .mark_rule(strokeDash=dash, strokeWidth=1.2, color=color("muted"))
        .encode(y="anchor:Q")
    )


def _side_by_side(
    layers: alt.LayerChart | alt.FacetChart, rows: pd.DataFrame, title: str
) -> alt.TopLevelMixin:
    names = sorted(rows["variant"].unique())
    return (
        layers.properties(width=200, height=110)
        .facet(alt.Facet("variant:N", title=None, sort=names), columns=3)
        .resolve_scale(y="independent")
        .properties(
            title=panel_title(title),
            usermeta={"gutter": 62, "least": 100},
            description=f"{title} over the steps, for {', '.join(names)}",
        )
    )
