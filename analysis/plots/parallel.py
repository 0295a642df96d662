"""Parallel coordinates: every trial as a line through its hyperparameters to what it came to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from analysis.plots.quantities import greater_is_better, quantity
from analysis.plots.scales import short_number
from analysis.plots.theme import chart, color, empty

__all__ = ["AXES_SHOWN", "plot_parallel"]

AXES_SHOWN = 9
"""The most hyperparameters that are drawn; the first ones are."""

_NONE = -0.12  # where a trial goes that does not have the hyperparameter
_TICKS = 5


def plot_parallel(
    trials: pd.DataFrame,
    hyperparameters: Sequence[str],
    *,
    value: str = "iqm",
    objective: str = "frechet_distance",
    most: int = AXES_SHOWN,
) -> alt.TopLevelMixin:
    """A line for each trial across the hyperparameters, in the colour of its objective.

    Dragging over a stretch of an axis keeps the trials that pass through it.

    Args:
        trials: one row per trial, such as from `analysis.seeds.by_trial`: `trial`, the
            hyperparameters and the value.
        hyperparameters: columns; those with a single value are left out.
        value: the last axis and the colour; trials without one are left out.
        objective: what the value is of.
        most: hyperparameters to draw.
    """
    rows = trials[trials[value].notna() & np.isfinite(trials[value].astype("float64"))]
    varied = [name for name in hyperparameters if rows[name].nunique() > 1][:most]
    if len(rows) < 2 or not varied:
        return empty("It takes two trials that differ in something")
    shown = quantity(objective)
    columns = [*varied, value]
    names = [*(quantity(name).name for name in varied), shown.name]
    lines_frame, ticks = _placed(rows, columns, names, objective)
    brush = alt.selection_interval(name="brush", encodings=["x", "y"])
    across = alt.X(
        "axis:N",
        title=None,
        sort=names,
        scale=alt.Scale(type="point", padding=0.35),
        axis=alt.Axis(
            labelAngle=0,
            orient="top",
            domain=False,
            labelPadding=24,
            labelExpr=f"({json.dumps({name: _two_lines(name) for name in names})})[datum.label]",
            labelColor=color("text"),
            labelFontWeight=500,
            grid=True,
            gridColor=color("faint"),
        ),
    )
    up = alt.Y("position:Q", title=None, axis=None, scale=alt.Scale(domain=[_NONE - 0.02, 1]))
    best = [color("accent"), color("wash")]
    hue = alt.Color(
        "shade:Q",
        title=f"{shown.name}, rank",
        scale=alt.Scale(domain=[0, 1], range=best, interpolate="lab"),
        legend=None,
    )
    lines = (
        chart(lines_frame)
        .transform_calculate(kept=_kept(names))
        .transform_calculate(points=_points(names))
        .transform_flatten(["points"])
        .transform_calculate(
            axis="datum.points.axis",
            position="datum.points.position",
            index="datum.points.index",
        )
        .mark_line(strokeWidth=1.6, cursor="pointer")
        .encode(
            x=across,
            y=up,
            detail="trial:N",
            color=hue,
            opacity=alt.when("datum.kept").then(alt.value(0.9)).otherwise(alt.value(0.04)),
            order=alt.Order("index:Q"),
            tooltip=[
                alt.Tooltip("trial:N", title="Trial"),
                alt.Tooltip("value:Q", title=shown.name, format=".4~g"),
                alt.Tooltip("settings:N", title="Settings"),
            ],
        )
    )
    handles = (
        chart(ticks)
        .mark_point(opacity=0, size=60)
        .encode(x=across, y=alt.Y("position:Q"))
        .add_params(brush)
    )
    labels = chart(ticks).encode(x=across, y=alt.Y("position:Q"), text="text:N")
    style: dict[str, Any] = {"align": "left", "dx": 6, "fontSize": 10.5}
    halo = labels.mark_text(stroke=color("surface"), strokeWidth=4, strokeJoin="round", **style)
    text = labels.mark_text(color=color("text"), **style)
    return alt.layer(lines, handles, halo, text).properties(
        width="container",
        height=300,
        description=f"Every trial's hyperparameters and its {shown.name}",
    )


def _kept(names: Sequence[str]) -> str:
    """Whether a trial passes through what is dragged over, as a Vega expression."""
    inside = (
        f"(indexof(brush.axis, {json.dumps(name)}) < 0 || "
        f"(datum.p{i} >= min(brush.position[0], brush.position[1]) && "
        f"datum.p{i} <= max(brush.position[0], brush.position[1])))"
        for i, name in enumerate(names)
    )
    return f"!isArray(brush.axis) || !isArray(brush.position) || ({' && '.join(inside)})"


def _points(names: Sequence[str]) -> str:
    """A trial's places on the axes, as a Vega expression."""
    places = (
        f"{{axis: {json.dumps(name)}, position: datum.p{i}, index: {i}}}"
        for i, name in enumerate(names)
    )
    return f"[{', '.join(places)}]"


def _placed(
    rows: pd.DataFrame, columns: Sequence[str], names: Sequence[str], objective: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials with `p0`, `p1`, ...: their places on the axes, in [0, 1], and the axes' ticks.

    The worst come first, so that the best are drawn over them.
    """
    rows = rows.sort_values(columns[-1], ascending=greater_is_better(objective))
    shade = rows[columns[-1]].rank(ascending=not greater_is_better(objective))
    lines = pd.DataFrame({"trial": rows["trial"], "value": rows[columns[-1]]})
    lines["shade"] = (shade - 1) / max(1, len(rows) - 1)
    lines["settings"] = [
        ", ".join(f"{name} {_text(value)}" for name, value in zip(columns[:-1], row, strict=True))
        for row in rows[list(columns[:-1])].itertuples(index=False)
    ]
    ticks = []
    for i, (column, name) in enumerate(zip(columns, names, strict=True)):
        shown = quantity(objective if column == columns[-1] else column)
        places, marks = _axis(rows[column], is_log=shown.is_log)
        if column == columns[-1] and not greater_is_better(objective):
            places, marks = 1 - places, [(1 - place, text) for place, text in marks]
        lines[f"p{i}"] = places.fillna(_NONE)
        if places.isna().any():
            marks = [*marks, (_NONE, "none")]
        ticks += [{"axis": name, "position": place, "text": text} for place, text in marks]
    return lines, pd.DataFrame(ticks)


def _axis(values: pd.Series, *, is_log: bool) -> tuple[pd.Series, list[tuple[float, str]]]:
    """Places of values in [0, 1], null where they are, and ticks: (place, text)."""
    if not pd.api.types.is_numeric_dtype(values) or values.nunique() <= _TICKS:
        kinds = sorted(values.dropna().unique())
        place = {kind: i / max(1, len(kinds) - 1) for i, kind in enumerate(kinds)}
        return values.map(place).astype("float64"), [(p, _text(k)) for k, p in place.items()]
    numbers = values.astype("float64")
    is_log = is_log and bool((numbers.dropna() > 0).all())
    scaled = numbers.map(math.log10) if is_log else numbers
    low, high = float(scaled.min()), float(scaled.max())
    marks = np.linspace(0, 1, _TICKS)
    texts = [_text(10**v if is_log else v) for v in low + marks * (high - low)]
    return (scaled - low) / (high - low), list(zip(marks.tolist(), texts, strict=True))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float | np.number) or not np.isfinite(value):
        return "none"
    return short_number(float(value), digits=2)


def _two_lines(name: str) -> list[str]:
    """Broken at the space that is nearest to the middle."""
    spaces = [i for i, letter in enumerate(name) if letter == " "]
    if not spaces or len(name) < 9:
        return [name]
    middle = min(spaces, key=lambda i: abs(i - len(name) / 2))
    return [name[:middle], name[middle + 1 :]]
