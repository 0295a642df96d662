"""Which slots take part in what: members stand in an order that makes every part a slice.

A step has as many rounds as the greatest `d_steps`. Members that update D less often sit out the
first rounds, so that all meet at the last one, whose fakes also update G. Members are sorted by
`d_steps` (descending), penalty and loss: whoever takes part in a round is a prefix, and whoever
shares a penalty or a loss within equal `d_steps` is contiguous, so nobody pays for a neighbour's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from gan_core.config import AdversarialLoss, GanConfig, LossVariant, Penalty

__all__ = ["Round", "Schedule", "order_key", "schedule"]

Key = TypeVar("Key")

_VARIANT_ORDER = sorted(LossVariant, key=lambda v: (v.penalty or "", v.adversarial))


@dataclass(frozen=True)
class Round:
    """One update of D by the first `members` members."""

    members: int
    losses: tuple[tuple[AdversarialLoss, slice], ...]
    """Cover the members, in order."""
    penalties: tuple[tuple[Penalty, slice], ...]
    """Only the members that have one."""
    index: int
    """Rounds of the step before this one."""


@dataclass(frozen=True)
class Schedule:
    """The rounds of one step; the last has every member."""

    rounds: tuple[Round, ...]


def order_key(config: GanConfig) -> tuple[int, int]:
    """The signature by which members stand together, as a sort key."""
    return (-config.d_steps, _VARIANT_ORDER.index(config.loss))


def schedule(configs: Sequence[GanConfig]) -> Schedule:
    """The rounds for members in this order, which must be sorted by `order_key`."""
    depth = max((c.d_steps for c in configs), default=0)
    return Schedule(tuple(_round(configs, depth, index) for index in range(depth)))


def _round(configs: Sequence[GanConfig], depth: int, index: int) -> Round:
    active = [c for c in configs if c.d_steps >= depth - index]
    penalties = _runs(active, lambda c: c.loss.penalty)
    return Round(
        members=len(active),
        losses=_runs(active, lambda c: c.loss.adversarial),
        penalties=tuple((p, part) for p, part in penalties if p is not None),
        index=index,
    )


def _runs(
    configs: Sequence[GanConfig], key: Callable[[GanConfig], Key]
) -> tuple[tuple[Key, slice], ...]:
    runs, start = [], 0
    for value, group in groupby(configs, key=key):
        stop = start + sum(1 for _ in group)
        runs.append((value, slice(start, stop)))
        start = stop
    return tuple(runs)
