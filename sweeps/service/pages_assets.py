"""The plotting library of pages, as the report has it. Runs in the process that reads."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.plots.save import javascript
from sweeps.service.reading import Content

__all__ = ["vega"]


def vega(params: Mapping[str, str]) -> Content:
    """Sets `vegaEmbed`."""
    return Content(javascript(), "text/javascript; charset=utf-8")
