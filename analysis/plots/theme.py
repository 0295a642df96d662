"""The one visual language of the charts, and how a DataFrame becomes the data of one."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from analysis.plots.palette import INK, VERDICT_NAMES, VERDICT_ORDER, VERDICTS

__all__ = [
    "chart",
    "color",
    "config",
    "empty",
    "is_empty",
    "panel_title",
    "records",
    "unchecked",
    "verdict_names",
    "verdict_scale",
]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Makes charts without holding each part against the schema, which takes half of the time."""
    with alt.utils.schemapi.debug_mode(False):
        yield


def color(name: str) -> str:
    """A colour of `analysis.plots.palette.INK`, as it is in a light chart."""
    return INK[name].light


def config(*, dark: bool = False) -> dict[str, Any]:
    """The `config` of Vega-Lite: fonts, faint grid, titles of y over their axis."""
    ink = {name: shade.dark if dark else shade.light for name, shade in INK.items()}
    text = {"labelFont": FONT, "titleFont": FONT, "labelColor": ink["muted"]}
    return {
        "background": None,
        "font": FONT,
        "padding": {"left": 2, "right": 8, "top": 4, "bottom": 2},
        "view": {"stroke": None},
        "axis": {
            **text,
            "labelFontSize": 11,
            "titleFontSize": 11.5,
            "titleFontWeight": 500,
            "titleColor": ink["text"],
            "titlePadding": 8,
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
            "gridColor": ink["grid"],
            "labelLimit": 140,
        },
        "axisX": {"grid": False, "domain": True, "domainColor": ink["faint"], "labelFlush": True},
        "axisY": {
            "titleAngle": 0,
            "titleAlign": "left",
            "titleAnchor": "end",
            "titleBaseline": "bottom",
            "titleX": 0,
            "titleY": -8,
        },
        "legend": {
            **text,
            "labelFontSize": 11.5,
            "titleFontSize": 11.5,
            "titleFontWeight": 500,
            "titleColor": ink["text"],
            "orient": "top",
            "symbolType": "circle",
            "symbolSize": 70,
            "symbolStrokeWidth": 0,
            "symbolOpacity": 1,
            "columnPadding": 14,
            "labelLimit": 200,
            "gradientThickness": 8,
            "gradientLength": 160,
            "padding": 0,
            "offset": 26,
        },
        "header": {
            **text,
            "labelFontSize": 12,
            "labelFontWeight": 600,
            "labelColor": ink["text"],
            "labelAnchor": "start",
            "labelPadding": 6,
            "title": None,
        },
        "title": {"font": FONT, "color": ink["text"], "anchor": "start", "fontSize": 13},
        "text": {"font": FONT, "color": ink["text"], "fontSize": 11},
        "rule": {"color": ink["muted"]},
        "line": {"strokeCap": "round", "strokeJoin": "round"},
    }


def chart(frame: pd.DataFrame, columns: Iterable[str] | None = None) -> alt.Chart:
    """A chart on the rows of a frame, however many there are.

    Args:
        frame: rows; a value that is not finite is null in the chart, and drawn nowhere.
        columns: the ones that the chart needs; all if None.
    """
    frame = frame if columns is None else frame[list(columns)]
    return alt.Chart(alt.InlineData(values=records(frame)))


def records(frame: pd.DataFrame, digits: int = 5) -> list[dict[str, Any]]:
    """The rows as JSON has them: numbers with so many significant digits, null for not finite."""
    columns = {str(name): _values(frame[name], digits) for name in frame}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(column: pd.Series, digits: int) -> list[Any]:
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return [_plain(value) for value in column]
    whole = pd.api.types.is_integer_dtype(column)
    return [
        None if not math.isfinite(value) else int(value) if whole else float(f"{value:.{digits}g}")
        for value in column.to_numpy(dtype="float64", na_value=np.nan).tolist()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value if isinstance(value, int | float | list) else str(value)


def verdict_names(verdicts: pd.Series) -> pd.Series:
    """Verdicts as a reader sees them: "D saturated"."""
    return verdicts.map(VERDICT_NAMES).fillna(verdicts.astype("str"))


def verdict_scale(shown: Iterable[str]) -> alt.Scale:
    """The fixed colours, of the verdicts that are shown (as `verdict_names` has them)."""
    names = set(shown)
    found = [verdict for verdict in VERDICT_ORDER if VERDICT_NAMES[verdict] in names]
    shades = {verdict.value: shade.light for verdict, shade in VERDICTS.items()}
    return alt.Scale(
        domain=[VERDICT_NAMES[verdict] for verdict in found],
        range=[shades[verdict] for verdict in found],
    )


def panel_title(title: str) -> alt.TitleParams:
    """What the y axis of panels side by side is of, said once above them."""
    return alt.TitleParams(title, fontSize=11.5, fontWeight=500, offset=14)


def empty(reason: str) -> alt.Chart:
    """What stands where there is nothing to plot: the reason."""
    mark = alt.Chart(alt.InlineData(values=[{"text": reason}])).mark_text(
        color=color("muted"), fontSize=13
    )
    return mark.encode(text="text:N").properties(
        width="container", height=80, description=reason, usermeta={"empty": True}
    )


def is_empty(plot: alt.TopLevelMixin) -> bool:
    """Whether a chart says only why there is none."""
    meta = getattr(plot, "usermeta", alt.Undefined)
    return isinstance(meta, dict) and bool(meta.get("empty"))
