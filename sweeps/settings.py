"""What the owner of a study has to know of a sweep. Free of optuna, ray and torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["SEEDS_APART", "Pruner", "Sampler", "StudySettings"]

SEEDS_APART = 1_000_000
"""Distance of the members' seeds of two sweeps whose own seeds follow each other."""


class Sampler(StrEnum):
    """Who proposes hyperparameters; see `sweeps.sampler`."""

    TPE = "tpe"
    RANDOM = "random"


class Pruner(StrEnum):
    """Who ends trials early; see `sweeps.pruner`."""

    NONE = "none"
    RUNGS = "rungs"
    MEDIAN = "median"
    SUCCESSIVE_HALVING = "successive_halving"
    HYPERBAND = "hyperband"


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """How trials are proposed, judged and ended. Checked where a user writes them."""

    trials: int
    """Trials to run, baselines and failed ones included."""
    sampler: Sampler = Sampler.TPE
    pruner: Pruner = Pruner.RUNGS
    pruner_keep: float = 0.5
    """Share of trials that go on at a pruning rung, in (0, 1]."""
    objective: str = "frechet_distance"
    """A key of `sweeps.objective.DIRECTIONS`."""
    seed: int = 0
    """Key of the proposals and of the members' own seeds."""
    allowed_diverged_share: float = 0.0
    """Greatest share of diverged seeds of a feasible trial, in [0, 1]."""
    max_in_flight: int | None = None
    """Most trials begun and not ended; None takes a quarter of the trials under TPE, which has
    nothing to learn from before trials end, and sets no bound under random sampling."""
    baselines: tuple[Mapping[str, float | int | str], ...] = ()
    """Known recipes to try first: a value for some or all searched hyperparameters."""
    steps: int
    """G updates of a member that is not ended early."""
    eval_every: int
    """Steps between rungs."""
    seeds: int = 1
    """Members per trial."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What else makes the values of two trials comparable, by its key in the config: what is
    learnt, by which networks, how and over which space. Plain values, as JSON has them."""

    @property
    def in_flight(self) -> int:
        """Most trials begun and not ended."""
        if self.max_in_flight is not None:
            return self.max_in_flight
        return max(1, self.trials // 4) if self.sampler is Sampler.TPE else self.trials

    def seeds_of(self, trial: int) -> tuple[int, ...]:
        """Seeds of a trial's members: of no other trial, and the same in every attempt."""
        first = self.seed * SEEDS_APART + trial * self.seeds
        return tuple(range(first, first + self.seeds))
