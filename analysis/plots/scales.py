"""Axes of numbers, linear or over orders of magnitude."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

__all__ = ["TICK_STEPS", "number_axis", "short_number", "tick_values"]

_TICKS = 7
TICK_STEPS = (
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9),
    (1, 1.5, 2, 3, 4, 5, 7),
    (1, 2, 5),
    (1, 3),
    (1,),
)
"""Ticks within each order of magnitude, the finest that are not too many are taken."""


def number_axis(
    numbers: pd.DataFrame, title: str, *, is_log: bool, padding: float = 0, zero: bool = False
) -> dict[str, Any]:
    """Title, scale and axis of a channel, for `alt.X` and `alt.Y`.

    Args:
        numbers: all that is drawn on it; NaN and infinite ones are passed over.
        title: with its unit.
        is_log: over orders of magnitude, if all numbers are positive; the title then says so.
        padding: in pixels, at both ends.
        zero: whether a linear axis begins at zero.
    """
    known = numbers.to_numpy(dtype="float64", na_value=np.nan).ravel()
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if is_log and low > 0:
        scale = alt.Scale(type="log", nice=False, padding=padding)
        if low == high:
            scale.domain = [low / 1.5, high * 1.5]
        axis = alt.Axis(values=tick_values(low, high), format=_format(low, high))
        return {"title": f"{title} (log)", "scale": scale, "axis": axis}
    scale = alt.Scale(zero=zero, padding=padding)
    if low == high:  # a scale of no width would round the one number that it shows
        scale.domain = [low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2]
    return {"title": title, "scale": scale, "axis": alt.Axis(tickCount=5)}


def tick_values(low: float, high: float) -> list[float]:
    """Round numbers from low to high, both > 0, evenly spread over the orders of magnitude."""
    for steps in TICK_STEPS:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [float(f"{step}e{power}") for power in powers for step in steps]
        found = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(found) <= _TICKS:
            return found
    return found[:: math.ceil(len(found) / _TICKS)]


def short_number(value: float, digits: int = 3) -> str:
    """A number as a person writes it: 0.012, 1e-5, 140, 12,000."""
    if not math.isfinite(value):
        return str(value)
    if value and (abs(value) < 1e-3 or abs(value) >= 1e6):
        mantissa, power = f"{value:.{min(digits, 2) - 1}e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(power)}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def _format(low: float, high: float) -> str:
    return "~e" if low < 1e-3 else "~s" if high >= 1e4 else "~g"
