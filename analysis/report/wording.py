"""Numbers and judgements in words, for the page and whatever else shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.plots.palette import VERDICT_NAMES
from analysis.plots.scales import short_number

__all__ = ["among", "count", "interval", "percent", "settings", "verdict_name"]


def percent(share: float) -> str:
    """A share as "58%"; what is not quite none or all is not said to be."""
    if not math.isfinite(share):
        return "unknown"
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 < share < 1:
        return "over 99%"
    return f"{share:.0%}"


def interval(low: float, high: float, *, of_shares: bool = False) -> str:
    """Such as "14% to 69%" or "8.1 to 12"; "" where an end is not known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if of_shares:
        return f"{low * 100:.0f}% to {high * 100:.0f}%"
    return f"{short_number(low)} to {short_number(high)}"


def count(number: int, thing: str) -> str:
    """Such as "1 trial" or "1,200 trials"."""
    return f"{number:,} {thing if number == 1 else thing + 's'}"


def among(names: Sequence[str]) -> str:
    """Such as "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def settings(row: Mapping[Any, Any], names: Sequence[str]) -> str:
    """Hyperparameters as a person writes them: "lsgan, lr_g 9e-4, latent_dim 8"."""
    parts = []
    for name in names:
        value = row[name]
        if value is None or value != value:
            continue
        text = value if isinstance(value, str) else short_number(float(value), digits=2)
        parts.append(text if name == "loss" else f"{name} {text}")
    return ", ".join(parts)


def verdict_name(verdict: str) -> str:
    """As a reader sees it: "D saturated"."""
    return VERDICT_NAMES.get(verdict, verdict)
