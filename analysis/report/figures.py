"""The plots of a sweep as files for papers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from analysis.load import Sweep
from analysis.plots.save import FORMATS, save
from analysis.report.catalog import catalog
from analysis.report.tables import gather
from analysis.report.write import one_sweep

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
        ValueError: an unknown format, several sweeps, or one that was loaded with `columns=`.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"formats = {unknown[0]!r}: must be of {', '.join(FORMATS)}")
    tables = gather(one_sweep(sweep))
    return [
        save(figure.chart, Path(folder) / f"{figure.key}.{name}")
        for figure in catalog(tables)
        for name in formats
    ]
