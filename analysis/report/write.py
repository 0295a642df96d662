"""Writes the report of a sweep, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["write_report"]


def write_report(
    sweep: Sweep | str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    refresh_s: int | None = None,
) -> Path | str:
    """Writes one self-contained HTML file, which needs no network.

    Args:
        sweep: from `analysis.load`, or the sweep's directory or URI.
        out: file to write; `report.html` in the sweep's directory (or under its URI) if None.
        refresh_s: the open page loads itself anew so often, keeping its place; never if None.

    Returns:
        Where it is: a path, or the URI if the sweep has one and `out` is None.
    """
    raise NotImplementedError
