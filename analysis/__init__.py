"""Reads, judges, compares and shows what sweeps wrote, in pandas.

`load` gives a sweep's tables, `judge` a verdict on every GAN, and the other functions tables made
of these. `analysis.plots` draws each table, `analysis.report` a page of all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Not lazy as the others are: importing the module of the same name would otherwise put the module
# itself at `analysis.load`. It costs no more than pyarrow, which the schema needs anyway.
from analysis.load import load

if TYPE_CHECKING:
    from analysis.budget import budget_curve
    from analysis.compare import failure_rate, leaderboard
    from analysis.confirm import confirmed
    from analysis.importance import importances
    from analysis.regions import failure_map, stable_range
    from analysis.report import write_figures, write_report
    from analysis.seeds import by_trial
    from analysis.thresholds import Thresholds
    from analysis.variants import by_variant, improvement, progress
    from analysis.verdict import judge

_HOMES = {
    "Thresholds": "thresholds",
    "budget_curve": "budget",
    "by_trial": "seeds",
    "by_variant": "variants",
    "confirmed": "confirm",
    "failure_map": "regions",
    "failure_rate": "compare",
    "importances": "importance",
    "improvement": "variants",
    "judge": "verdict",
    "leaderboard": "compare",
    "progress": "variants",
    "stable_range": "regions",
    "write_figures": "report",
    "write_report": "report",
}

__all__ = [
    "Thresholds",
    "budget_curve",
    "by_trial",
    "by_variant",
    "confirmed",
    "failure_map",
    "failure_rate",
    "importances",
    "improvement",
    "judge",
    "leaderboard",
    "load",
    "progress",
    "stable_range",
    "write_figures",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: pandas takes half a second."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"analysis.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
