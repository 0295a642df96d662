"""How much is measured: repeats, seconds, trials."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Effort"]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Of everything that costs time."""

    turns: int
    """Repeats of each speed on command."""
    turn_s: float
    """Seconds of training in each of them."""
    repeats: int
    """Of each whole search."""
    trials: int
    """Of a whole search."""
    many_trials: int
    """Of a search by gansweep that takes time for its budget, and not stock's trials."""
    stock_trials: int
    """Of a search without pruning by stock Ray Tune, whose trainings per hour are told from as
    many: see `benchmarks.ratios.trainings_per_hour`."""
    steps: int
    """Of a trial."""
    eval_every: int
    """Steps between two judgements."""
    slots: int
    """Of each worker in that search, and where the cost outside training is measured."""
    most_members: int
    """Of a cohort."""


FULL = Effort(
    turns=7,
    turn_s=0.5,
    repeats=3,
    trials=64,
    many_trials=512,
    stock_trials=16,
    steps=2000,
    eval_every=100,
    slots=64,
    most_members=1024,
)
"""What `python -m benchmarks` takes: about an hour on two idle cores, a third of it where searches
are made once."""

QUICK = Effort(
    turns=2,
    turn_s=0.1,
    repeats=1,
    trials=4,
    many_trials=12,
    stock_trials=2,
    steps=100,
    eval_every=50,
    slots=4,
    most_members=4,
)
"""Shows that all of it runs, in about a minute; its figures say nothing."""
