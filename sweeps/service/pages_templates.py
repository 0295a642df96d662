"""The templates of the service's pages; all that they show is escaped."""

from __future__ import annotations

import functools
import math
import re
import time
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

__all__ = ["ago", "breakable", "number", "render"]

_FOLDER = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """A page or a part of one.

    Args:
        template: a file of `templates`, without its ending.
        values: all that it asks for.
    """
    return _environment().get_template(f"{template}.html.j2").render(**values)


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; "-" for one that is not known."""
    if value is None or not math.isfinite(value):
        return "-"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def ago(seconds: float | None) -> str:
    """How long a time of the epoch is past, to the minute."""
    if seconds is None:
        return ""
    past = max(0.0, time.time() - seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if past >= size:
            return f"{int(past // size)} {unit} ago"
    return "just now"


def breakable(key: str) -> Markup:
    """A dotted key that breaks between its words on narrow screens."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(key))))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "ago": ago, "breakable": breakable}
    return environment
