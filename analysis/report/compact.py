"""Charts and tables as small JSON: data by column, and no data twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plots.theme import records

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Bundle", "bundle", "columns", "to_json"]


@dataclass(frozen=True)
class Bundle:
    """Charts and the data that they share."""

    specs: dict[str, dict[str, Any]]
    """Vega-Lite by key, without data and theme; `data` names what it needs."""
    datasets: dict[str, dict[str, list[Any]]]
    """By name, each a list for every column."""


def bundle(charts: Iterable[tuple[str, alt.TopLevelMixin]]) -> Bundle:
    """Takes the data out of charts; equal data, which have equal names, are kept once."""
    specs: dict[str, dict[str, Any]] = {}
    datasets: dict[str, dict[str, list[Any]]] = {}
    for key, chart in charts:
        spec = chart.to_dict(validate=False)
        held = spec.pop("datasets", {})
        spec.pop("config", None)
        specs[key] = spec
        for name, rows in held.items():
            datasets[name] = _by_column(rows)
    return Bundle(specs, datasets)


def columns(frame: pd.DataFrame, digits: int = 6) -> dict[str, list[Any]]:
    """A frame by column, numbers with so many significant digits, null for not finite.

    They are more than the page shows, so that it rounds as the sentences above its tables do.
    """
    rows = records(frame, digits)
    return {name: [row[name] for row in rows] for name in map(str, frame)}


def to_json(value: Any) -> str:
    """JSON that may stand inside a `script` element of a page, whatever the strings contain."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _by_column(rows: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
