"""From what the seeds of a trial measured to what Optuna is told; the policy on divergence.

A diverged member has no value. Three ways to say so mislead the search, each tried out:

- A huge value stands in the ranking with the honest ones. As soon as few trials are finished the
  sampler (TPE) takes diverged trials for good ones, and its density models stretch towards them.
- A bare FAIL is invisible to the sampler: it keeps proposing what diverges.
- Leaving the seed out of the mean makes a trial with three diverged seeds and a lucky one look
  better than one with four sound seeds.

So a diverged seed counts as what it is worth, an untrained generator: its own value at step 0,
an honest number of the same scale. And the share of diverged seeds is an Optuna constraint: a
trial with more than allowed is infeasible, told PRUNED with its intermediate values, and TPE
models it among the bad ones whatever its value (`optuna.samplers.TPESampler`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from enum import StrEnum

from gan_core.config import ConfigError

__all__ = ["DIRECTIONS", "Direction", "constraint", "direction", "trial_value"]


class Direction(StrEnum):
    """Which values of an objective are better; the values are Optuna's own names."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


DIRECTIONS: dict[str, Direction] = {
    "frechet_distance": Direction.MINIMIZE,
    "mode_kl": Direction.MINIMIZE,
    "mode_entropy": Direction.MAXIMIZE,
    "modes_1pct": Direction.MAXIMIZE,
    "hq_share": Direction.MAXIMIZE,
    "modes_hit": Direction.MAXIMIZE,
    "class_agreement": Direction.MAXIMIZE,
    "least_class_agreement": Direction.MAXIMIZE,
}
"""The metrics of `analysis.schema.METRICS` that can be an objective. The spreads cannot: they are
best near 1, neither at their least nor at their greatest. Nor can `END_METRICS`, which a rung does
not have."""


def direction(objective: str) -> Direction:
    """Which values of this metric are better.

    Raises:
        ConfigError: not a metric that can be minimised or maximised.
    """
    if objective in DIRECTIONS:
        return DIRECTIONS[objective]
    names = ", ".join(f'"{name}"' for name in DIRECTIONS)
    raise ConfigError("search.objective", objective, f"must be one of {names}{_reason(objective)}")


def _reason(name: str) -> str:
    """Why a metric that there is cannot be an objective."""
    from analysis.schema import END_METRICS, METRICS  # pyarrow, for which no config need wait

    if name in END_METRICS:
        return f" ({name} is measured when a GAN ends, not at every rung)"
    return f" ({name} is best near 1)" if name in METRICS else ""


def trial_value(
    values: Sequence[float], diverged: Sequence[bool], untrained: Sequence[float]
) -> float:
    """Mean over all seeds of a trial at a rung; a diverged one counts as untrained.

    Args:
        values: [seeds], the objective of each member at the rung. A non-finite value counts as
            diverged.
        diverged: [seeds], whether the member diverged at or before the rung.
        untrained: [seeds], the objective of each member before its first step.

    Returns:
        Finite, unless an `untrained` that stands in is not.

    Raises:
        ValueError: no seeds, or lengths that differ.
    """
    if not len(values) == len(diverged) == len(untrained) > 0:
        raise ValueError(
            f"values, diverged and untrained have lengths {len(values)}, {len(diverged)} and "
            f"{len(untrained)}: must be equal and > 0"
        )
    counted = [
        start if gone or not math.isfinite(value) else value
        for value, gone, start in zip(values, diverged, untrained, strict=True)
    ]
    # Exact: equal sums are equal values whatever their order (pruning goes by ties), and very
    # great values do not overflow.
    return float(statistics.mean(map(float, counted)))


def constraint(diverged: int, seeds: int, allowed_share: float) -> float:
    """How far the share of diverged seeds is above what is allowed; > 0 is infeasible.

    Args:
        diverged: number of seeds that diverged, in [0, seeds].
        seeds: number of seeds of the trial, >= 1.
        allowed_share: greatest share of diverged seeds of a feasible trial, in [0, 1].

    Raises:
        ValueError: a count out of its bounds.
    """
    if not 0 <= diverged <= seeds or seeds < 1:
        raise ValueError(f"{diverged} of {seeds} seeds diverged: must be in [0, seeds], seeds >= 1")
    return diverged / seeds - allowed_share
