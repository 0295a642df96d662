"""Charts as a page of the service draws them: the report's, without anything twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from analysis.plots.palette import INK, to_dark
from analysis.plots.scales import TICK_STEPS
from analysis.plots.theme import config, is_empty
from analysis.report.compact import bundle, to_json
from sweeps.service.reading import Content

if TYPE_CHECKING:
    import altair as alt

__all__ = ["charts_json"]


def charts_json(charts: Iterable[tuple[str, alt.TopLevelMixin]], name: str) -> Content:
    """What `charts.js` of the report draws from.

    Args:
        charts: each with the name of its place on the page; those that show nothing are left out.
        name: begins the names of files that a reader saves.
    """
    held = bundle([(key, chart) for key, chart in charts if not is_empty(chart)])
    data = {
        "name": name,
        "specs": held.specs,
        "datasets": held.datasets,
        "config": {"light": config(), "dark": config(dark=True)},
        "dark": to_dark(),
        "surface": {"light": INK["surface"].light, "dark": INK["surface"].dark},
        "ticks": TICK_STEPS,
        "banded": [],
    }
    return Content(to_json(data))
