"""What the page of two sweeps says and draws. Runs where sweeps are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.plots.budget import plot_budget_curve
from analysis.plots.quantities import quantity
from analysis.plots.theme import is_empty
from analysis.plots.variants import plot_tally
from analysis.report.catalog import Figure
from analysis.report.facts import headline_facts
from analysis.tally import tally
from sweeps.service.pages_charts import charts_json
from sweeps.service.pages_rows import shown
from sweeps.service.pages_templates import render
from sweeps.service.reading import Content, Reading

__all__ = ["charts", "page"]

_ALWAYS_DIFFERS = ("name", "storage")


def page(params: Mapping[str, str], *readings: Reading) -> Content:
    """Two sweeps side by side."""
    text = render(
        "compare_body",
        names=[reading.name for reading in readings],
        facts=list(zip(*(headline_facts(reading.tables) for reading in readings), strict=True)),
        objectives=[quantity(reading.tables.objective).name for reading in readings],
        comparable=_comparable(readings),
        differences=_differences(*(reading.sweep.config for reading in readings)),
        figures=list(_figures(readings)),
    )
    return Content(text, "text/html; charset=utf-8")


def charts(params: Mapping[str, str], *readings: Reading) -> Content:
    """Their charts."""
    names = "-and-".join(reading.name for reading in readings)
    return charts_json([(f.key, f.chart) for f in _figures(readings)], names)


def _comparable(readings: tuple[Reading, ...]) -> bool:
    """Whether their numbers mean the same: one objective, of one dataset."""
    first, second = (reading.tables for reading in readings)
    dataset = [t.sweep.config.get("data", {}).get("dataset") for t in (first, second)]
    return first.objective == second.objective and dataset[0] == dataset[1]


def _differences(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Keys of the config that differ, with either value."""
    first, second = _flat(a), _flat(b)
    return [
        (key, shown(first.get(key)), shown(second.get(key)))
        for key in dict.fromkeys((*first, *second))
        if first.get(key) != second.get(key) and key not in _ALWAYS_DIFFERS
    ]


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = value.items() if isinstance(value, dict) else ()
        found |= {f"{key}.{name}": one for name, one in inner} if inner else {key: value}
    return found


def _figures(readings: tuple[Reading, ...]) -> Iterator[Figure]:
    counts = [tally(reading.sweep, reading.verdicts, by=None) for reading in readings]
    drawn = plot_tally(_together(readings, counts))
    if not is_empty(drawn):
        title = "Verdicts on their members"
        yield Figure("verdicts", "compare", title, "The more green, the sounder.", drawn, "whole")
    if not _comparable(readings):
        return
    budget = _together(readings, [reading.tables.budget for reading in readings])
    drawn = plot_budget_curve(budget, objective=readings[0].tables.objective)
    if not is_empty(drawn):
        title, caption = "What so many trials find", "Compare at the same number of trials."
        yield Figure("budget", "compare", title, caption, drawn, "whole")


def _together(readings: tuple[Reading, ...], frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame in which each sweep is a variant."""
    named = [
        frame.assign(variant=reading.name)
        for reading, frame in zip(readings, frames, strict=True)
        if len(frame)
    ]
    return pd.concat(named, ignore_index=True) if named else frames[0]
