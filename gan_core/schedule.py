"""Which slots take part in what: members stand in an order that makes every part a slice.

A step has as many rounds as the greatest `d_steps`. Members that update D less often sit out the
first rounds, so that all meet at the last one, whose fakes also update G. Members are sorted by
`d_steps` (descending), D's normalisation, penalty and loss: whoever takes part in a round is a
prefix, and among members of equal `d_steps` whoever shares the others is contiguous, so nobody
pays for a neighbour's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from gan_core.config import AdversarialLoss, GanConfig, Normalisation, Penalty

__all__ = ["Round", "Schedule", "order_key", "schedule"]

Key = TypeVar("Key")


@dataclass(frozen=True)
class Round:
    """One update of D by the first `members` members."""

    members: int
    losses: tuple[tuple[AdversarialLoss, slice], ...]
    """Cover the members, in order."""
    penalties: tuple[tuple[Penalty, slice], ...]
    """Only the members that have one."""
    norms: tuple[tuple[Normalisation, slice], ...]
    """Cover the members, in order: whose D is the same module."""
    noisy: tuple[slice, ...]
    """The members whose D sees noise."""
    averaged: tuple[slice, ...]
    """The members whose G is averaged."""
    index: int
    """Rounds of the step before this one."""

    def norms_of(self, part: slice) -> tuple[tuple[Normalisation, slice], ...]:
        """`norms` of these members alone."""
        cut = ((n, slice(max(r.start, part.start), min(r.stop, part.stop))) for n, r in self.norms)
        return tuple((norm, rows) for norm, rows in cut if rows.start < rows.stop)


@dataclass(frozen=True)
class Schedule:
    """The rounds of one step; the last has every member."""

    rounds: tuple[Round, ...]


def order_key(config: GanConfig) -> tuple[int, str, str, str, bool, bool]:
    """The signature by which members stand together, as a sort key."""
    return (
        -config.d_steps,
        config.d_norm.value,
        config.penalty or "",
        config.loss.adversarial.value,
        config.instance_noise > 0,
        config.ema_half_life_images is not None,
    )


def schedule(configs: Sequence[GanConfig]) -> Schedule:
    """The rounds for members in this order, which must be sorted by `order_key`."""
    depth = max((c.d_steps for c in configs), default=0)
    return Schedule(tuple(_round(configs, depth, index) for index in range(depth)))


def _round(configs: Sequence[GanConfig], depth: int, index: int) -> Round:
    active = [c for c in configs if c.d_steps >= depth - index]
    penalties = _runs(active, _penalised)
    return Round(
        members=len(active),
        losses=_runs(active, lambda c: c.loss.adversarial),
        penalties=tuple((key[1], part) for key, part in penalties if key[1] is not None),
        norms=_runs(active, lambda c: c.d_norm),
        noisy=_those(active, lambda c: c.instance_noise > 0),
        averaged=_those(active, lambda c: c.ema_half_life_images is not None),
        index=index,
    )


def _those(configs: Sequence[GanConfig], wanted: Callable[[GanConfig], bool]) -> tuple[slice, ...]:
    return tuple(part for is_wanted, part in _runs(configs, wanted) if is_wanted)


def _penalised(config: GanConfig) -> tuple[Normalisation, Penalty | None]:
    """With the norm: a penalty is taken of one module."""
    return config.d_norm, config.penalty


def _runs(
    configs: Sequence[GanConfig], key: Callable[[GanConfig], Key]
) -> tuple[tuple[Key, slice], ...]:
    runs, start = [], 0
    for value, group in groupby(configs, key=key):
        stop = start + sum(1 for _ in group)
        runs.append((value, slice(start, stop)))
        start = stop
    return tuple(runs)
