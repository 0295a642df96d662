"""Charts as files: SVG and PNG for papers, HTML and JSON for the web. Needs no network."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vl_convert
from altair import SCHEMA_VERSION

from analysis.plots.palette import INK, to_dark
from analysis.plots.theme import config

if TYPE_CHECKING:
    import altair as alt

__all__ = ["FORMATS", "javascript", "save", "spec"]

FORMATS = ("svg", "png", "html", "json")
_WIDTH = 520  # of a chart that on a page is as wide as its column, in pixels
_VERSION = ".".join(SCHEMA_VERSION.split(".")[:2])
_HEX = re.compile("#[0-9A-Fa-f]{6}")


def spec(chart: alt.TopLevelMixin, *, dark: bool = False) -> dict[str, Any]:
    """The chart in Vega-Lite, with its theme: what every file is made of.

    Args:
        chart: one of `analysis.plots`.
        dark: on a dark background.
    """
    made = chart.to_dict(validate=False)
    made["config"] = config()
    if dark:
        shades = to_dark()
        text = _HEX.sub(lambda found: shades.get(found[0], found[0]), json.dumps(made))
        made = json.loads(text) | {"config": config(dark=True)}
    return made


def save(
    chart: alt.TopLevelMixin,
    path: str | os.PathLike[str],
    *,
    dark: bool = False,
    scale: float = 2,
) -> Path:
    """Saves a chart in the format that the name ends with.

    Args:
        chart: one of `analysis.plots`.
        path: ends in .svg, .png, .html (opens without a network) or .json (Vega-Lite).
        dark: for a dark background.
        scale: pixels of a PNG for each of the chart's.

    Raises:
        ValueError: the name ends otherwise.
    """
    file = Path(path)
    suffix = file.suffix.removeprefix(".")
    if suffix not in FORMATS:
        raise ValueError(f"{file}: ends in {file.suffix!r}; must be .{', .'.join(FORMATS)}")
    made = _fixed(spec(chart, dark=dark))
    made["background"] = INK["surface"].dark if dark else "white"
    file.parent.mkdir(parents=True, exist_ok=True)
    if suffix == "png":
        file.write_bytes(vl_convert.vegalite_to_png(made, vl_version=_VERSION, scale=scale))
    elif suffix == "svg":
        file.write_text(vl_convert.vegalite_to_svg(made, vl_version=_VERSION), encoding="utf-8")
    elif suffix == "html":
        page = vl_convert.vegalite_to_html(made, vl_version=_VERSION, bundle=True)
        file.write_text(page, encoding="utf-8")
    else:
        file.write_text(json.dumps(made, allow_nan=False), encoding="utf-8")
    return file


def javascript() -> str:
    """Vega, Vega-Lite and vega-embed in one script, without dependencies; sets `vegaEmbed`."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_VERSION)


def _fixed(made: dict[str, Any]) -> dict[str, Any]:
    """With a width in place of "container", which no file has."""
    made = copy.deepcopy(made)
    for part in (made, *made.get("concat", ()), made.get("spec", {})):
        if part.get("width") == "container":
            part["width"] = _WIDTH
    return made
