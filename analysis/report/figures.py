"""The plots of a sweep as files for papers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["write_figures"]


def write_figures(
    sweep: Sweep | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    formats: Sequence[str] = ("svg", "png"),
) -> list[Path]:
    """Saves every plot for which the sweep has data, as `<folder>/<plot>.<format>`.

    Args:
        sweep: from `analysis.load`, or the sweep's directory or URI.
        folder: made if it is not there.
        formats: of svg, png, html, json.

    Returns:
        The files, in the order of the report.

    Raises:
        ValueError: an unknown format.
    """
    raise NotImplementedError
