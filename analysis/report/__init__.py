"""One self-contained page on a sweep, and its figures for papers."""

from __future__ import annotations

from analysis.report.figures import write_figures
from analysis.report.write import write_report

__all__ = ["write_figures", "write_report"]
