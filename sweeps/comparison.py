"""Holds a replayed member beside what its sweep recorded, rung by rung."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis.schema import HISTORY, METRICS, SIGNALS, SPECTRAL_NORMS

__all__ = ["METRIC_TOLERANCE", "SIGNAL_TOLERANCE", "Comparison", "Quantity", "compare", "show"]

SIGNAL_TOLERANCE = 0.02
"""Greatest difference of a signal's mean over the first rung, as a share of the greatest magnitude
that the signal had in it, that rounding accounts for. Measured on digits over 100 steps, one
member against two, with 48 configurations drawn from the preset's space: half differ by less than
1e-8, and the worst, whose training is chaotic at rates near 1e-2, by 0.015. Another seed differs
by 0.026 at least, a rate of D's that is 10% off by 0.01 to 0.5."""

METRIC_TOLERANCE = 1e-4
"""Greatest relative difference of `frechet_distance` before the first step, where nothing has
amplified the rounding yet. Measured likewise: none at all; another seed differs by 0.02 on
average, and by less than this in one of 276 pairs."""

_REST = "counts and modes"
_IDENTITY = ("sweep", "trial", "seed", "attempt", "rung", "step", "members", "seconds")
_MEASURED_STEPS = 100  # that SIGNAL_TOLERANCE was measured over
_SINCE_VERSION_2 = (*SPECTRAL_NORMS, "within_class_spread")


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One signal or metric over the rungs."""

    name: str
    equal: int
    """Rungs at which every statistic of it is bitwise as recorded."""
    difference: float | None
    """Judged by the tolerance: of a signal over the first rung, of a metric before the first step;
    NaN if only one of the two is finite, None if there is nothing to compare."""
    tolerance: float | None
    """None for what is shown only."""

    @property
    def is_near(self) -> bool:
        """Whether the difference is one of rounding."""
        judged = self.difference is not None and self.tolerance is not None
        return not judged or self.difference <= self.tolerance  # type: ignore[operator]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A replay beside its record. Near is what differs by rounding, as far as that can be told."""

    member: str
    """Which, in a few words."""

    rungs: int
    """Compared, rung 0 included."""
    first_step: int
    """G updates at the first rung."""
    quantities: tuple[Quantity, ...]
    missing: str | None
    """Why there were not as many rungs to compare as there should be."""

    @property
    def is_equal(self) -> bool:
        """Whether every number of every rung is bitwise as recorded."""
        return not self.missing and all(q.equal == self.rungs for q in self.quantities)

    @property
    def is_near(self) -> bool:
        """Whether the differences can be those of rounding."""
        return all(q.is_near for q in self.quantities) and not (self.missing and self.rungs < 2)


def compare(
    recorded: pd.DataFrame, replayed: Sequence[Mapping[str, Any]], *, member: str = ""
) -> Comparison:
    """Compares rung by rung.

    Args:
        recorded: rows of `analysis.load(directory).history` of the member, as far as it was
            replayed.
        replayed: from `sweeps.replay.replay`.
        member: whose they are, for the table.
    """
    theirs = [_plain(row) for _, row in recorded.sort_values("rung").iterrows()]
    ours = [_plain(row) for row in replayed]
    pairs = list(zip(theirs, ours, strict=False))
    unrecorded = {n for n in _SINCE_VERSION_2 if all(_same(row[n], None) for row in theirs)}
    columns = [name for name in HISTORY.names if name not in (*_IDENTITY, *unrecorded)]
    quantities = []
    for name in (*SIGNALS, *METRICS, *SPECTRAL_NORMS, _REST):
        own = [column for column in columns if _quantity(column) == name]
        quantities.append(_compared(name, own, pairs))
    return Comparison(
        member=member,
        rungs=len(pairs),
        first_step=int(ours[1]["step"]) if len(ours) > 1 else 0,
        quantities=tuple(q for q in quantities if q is not None),
        missing=_missing(theirs, ours),
    )


def _compared(
    name: str, columns: Sequence[str], pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]
) -> Quantity | None:
    """None of what there is nowhere, like the accuracies of a critic."""
    if all(_same(row[column], None) for pair in pairs for row in pair for column in columns):
        return None
    equal = sum(all(_same(a[column], b[column]) for column in columns) for a, b in pairs)
    difference = tolerance = None
    if name in SIGNALS and len(pairs) > 1:
        a, b = pairs[1]
        scale = max(abs(_number(a[f"{name}_{end}"])) for end in ("min", "max"))
        difference, tolerance = (
            _share(a[f"{name}_mean"], b[f"{name}_mean"], scale),
            SIGNAL_TOLERANCE,
        )
    elif name not in (*SIGNALS, _REST):
        a, b = pairs[0]
        difference = _share(a[name], b[name], abs(_number(a[name])))
        tolerance = METRIC_TOLERANCE if name == "frechet_distance" else None
    return Quantity(name=name, equal=equal, difference=difference, tolerance=tolerance)


def _quantity(column: str) -> str:
    """What a column of the history says something of."""
    if column in METRICS or column in SPECTRAL_NORMS:
        return column
    return next((signal for signal in SIGNALS if column.startswith(f"{signal}_")), _REST)


def _share(a: object, b: object, scale: float) -> float:
    """|a - b| / scale; 0 for equal ones, also if both are missing."""
    if _same(a, b):
        return 0.0
    return abs(_number(a) - _number(b)) / scale if scale else math.inf


def _missing(theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> str | None:
    if len(theirs) == len(ours):
        return None
    fewer, ends = ("the record", theirs) if len(theirs) < len(ours) else ("the replay", ours)
    return f"{fewer} ends at step {int(ends[-1]['step'])}"


def _plain(row: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
    """As the table stores it: what is not finite is None, an array a list."""
    return {str(name): _stored(value) for name, value in row.items()}


def _stored(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_stored(item) for item in value]
    if value is None or value is pd.NA:
        return None
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _same(a: object, b: object) -> bool:
    return a == b


def _number(value: object) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]


def show(comparison: Comparison, console: Console) -> None:
    """Prints the table, and what it comes to."""
    table = Table(box=None, title_justify="left", title=f"Replay of {comparison.member}")
    table.add_column("")
    table.add_column("rungs bitwise equal", justify="right")
    table.add_column("difference", justify="right")
    table.add_column("tolerance", justify="right")
    for quantity in comparison.quantities:
        table.add_row(
            quantity.name,
            f"{quantity.equal} of {comparison.rungs}",
            _short(quantity.difference),
            "-" if quantity.tolerance is None else f"{quantity.tolerance:g}",
            style=None if quantity.is_near else "red",
        )
    console.print(table)
    console.print(_verdict(comparison))


def _short(difference: float | None) -> str:
    return "-" if difference is None else "0" if difference == 0 else f"{difference:.1e}"


def _verdict(comparison: Comparison) -> str:
    if comparison.is_equal:
        return f"Bitwise equal at all {comparison.rungs} rungs."
    ended = f"; {comparison.missing}" if comparison.missing else ""
    if not comparison.is_near:
        beyond = ", ".join(q.name for q in comparison.quantities if not q.is_near)
        text = f"Not what was recorded: {beyond or 'its length'} beyond the tolerance{ended}."
        if comparison.first_step > _MEASURED_STEPS:
            text += f" That was measured over {_MEASURED_STEPS} steps: here rounding may do more."
        return text
    return (
        f"Not bitwise equal, and near: over the first rung ({comparison.first_step} steps) the "
        "difference is one of rounding, which training then amplifies, so that later rungs may "
        f"differ by anything{ended}."
    )
