"""The arithmetic of the tables: rates, times and ratios from measurements, medians over turns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "best",
    "median_of",
    "median_ratio",
    "reached_s",
    "trainings_per_hour",
]

Values = Mapping[str, Any]
Turns = Mapping[int, Values]
"""Measurements of one key by turn."""


def median_of(turns: Turns, figure: Callable[[Values], float]) -> float | None:
    """The median of a figure over the turns; None without any."""
    values = [figure(values) for values in turns.values()]
    return statistics.median(values) if values else None


def median_ratio(
    turns: Turns, others: Turns, ratio: Callable[[Values, Values], float]
) -> float | None:
    """The median of what two measurements of the same turn come to; None without a common one."""
    values = [ratio(own, others[turn]) for turn, own in turns.items() if turn in others]
    return statistics.median(values) if values else None


def trainings_per_hour(values: Values, trials: int) -> float:
    """Trials trained to their end in an hour, by a search of so many.

    Where fewer were trained, the time from the first one's begin is multiplied by what is
    missing; the start before it is paid once.
    """
    own = values["trials"]
    wall = values["begin_s"] + (values["wall_s"] - values["begin_s"]) * trials / own
    return 3600 * trials / wall


def best(values: Values) -> tuple[float, float]:
    """The best objective of a search, and the seconds from its start until it was reached."""
    if not values["improvements"]:
        return math.inf, math.inf
    seconds, value = values["improvements"][-1]
    return value, seconds


def reached_s(values: Values, objective: float) -> float:
    """Seconds from a search's start until it had something as good; inf if it never had."""
    return next((at for at, value in values["improvements"] if value <= objective), math.inf)
