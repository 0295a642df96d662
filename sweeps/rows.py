"""From what a worker holds to rows of the Parquet tables, by the contract of `analysis.schema`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from analysis.schema import (
    END_METRICS,
    GRADIENT_SIGNALS,
    HYPERPARAMETERS,
    METRICS,
    SIGNALS,
    SPECTRAL_NORMS,
    STATISTICS,
)
from sweeps.objective import DIRECTIONS, Direction
from sweeps.versions import versions

__all__ = ["Context", "Progress", "control_row", "history_row", "origin", "sample_row", "trial_row"]

_VERSIONS = versions()


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all rows of a worker share."""

    sweep: str
    worker: str
    device: str
    dataset: str
    architecture: str
    eval_images: int
    slots: int


@dataclass(kw_only=True)
class Progress:
    """How far one member, a trial at a seed, has come."""

    trial: int
    attempt: int
    seed: int
    hyperparameters: dict[str, Any]
    """Resolved: every field of `gan_core.config.GanConfig` but the seed."""
    step: int = 0
    rung: int = 0
    diverged_step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the last rung."""
    best: dict[str, float] = field(default_factory=dict)
    untrained: dict[str, float] = field(default_factory=dict)
    """Metrics before the first step."""
    histogram: list[float] = field(default_factory=list)
    spectral_norms: dict[str, float | None] = field(default_factory=dict)
    """At the last rung, None of a network without a matrix."""
    at_end: dict[str, float] = field(default_factory=dict)
    """`END_METRICS`, once it has ended without diverging."""

    @property
    def diverged(self) -> bool:
        """Whether a loss or gradient of its turned non-finite."""
        return self.diverged_step is not None

    def judged(self, metrics: dict[str, float], histogram: list[float]) -> None:
        """Takes in a rung's metrics."""
        self.metrics, self.histogram = metrics, histogram
        self.untrained = self.untrained or metrics
        for name, value in metrics.items():
            self.best[name] = _better(name, self.best.get(name, value), value)


def history_row(
    context: Context,
    member: Progress,
    statistics: Mapping[str, float],
    seconds: float,
    *,
    members: int | None = None,
) -> dict[str, Any]:
    """A member at a rung.

    Args:
        context: of the worker.
        member: as the rung left it.
        statistics: of the interval, by column; empty before the first step.
        seconds: since the member was admitted.
        members: in lockstep, this one included.
    """
    columns = [f"{signal}_{statistic}" for signal in SIGNALS for statistic in STATISTICS]
    columns += [f"{signal}_above_100_share" for signal in GRADIENT_SIGNALS]
    return {
        **_member(context, member),
        "rung": member.rung,
        "step": member.step,
        "interval_steps": int(statistics.get("interval_steps", 0)),
        "nonfinite_steps": int(statistics.get("nonfinite_steps", 0)),
        **{name: statistics.get(name) for name in columns},
        **{name: member.spectral_norms.get(name) for name in SPECTRAL_NORMS},
        **{name: member.metrics.get(name) for name in METRICS},
        "mode_histogram": member.histogram,
        "eval_images": context.eval_images,
        "members": members,
        "seconds": seconds,
    }


def trial_row(
    context: Context,
    member: Progress,
    status: str,
    *,
    objective: str,
    trial_objective: float | None = None,
    seconds: float | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """A member at its end.

    Args:
        context: of the worker.
        member: as it ended.
        status: complete, pruned, diverged or failed.
        objective: name of the metric that is the objective.
        trial_objective: what Optuna is told of the trial.
        seconds: since the member was admitted.
        error: why it failed.
    """
    return {
        **_member(context, member),
        "status": status,
        **{name: member.hyperparameters.get(name) for name in HYPERPARAMETERS},
        "steps": member.step,
        "diverged_step": member.diverged_step,
        "objective": None if member.diverged else member.metrics.get(objective),
        "trial_objective": trial_objective,
        **{f"final_{name}": member.metrics.get(name) for name in METRICS},
        **{f"final_{name}": member.at_end.get(name) for name in END_METRICS},
        **{f"best_{name}": member.best.get(name) for name in METRICS},
        "seconds": seconds,
        "ended_at": datetime.now(UTC),
        "worker": context.worker,
        "slots": context.slots,
        "device": context.device,
        "dataset": context.dataset,
        "architecture": context.architecture,
        "error": error,
        "gansweep_version": _VERSIONS["gansweep"],
        "torch_version": _VERSIONS["torch"],
    }


def sample_row(context: Context, member: Progress, png: bytes) -> dict[str, Any]:
    """A grid of a member's samples."""
    return {**_member(context, member), "step": member.step, "png": png}


def origin(context: Context, member: Progress) -> dict[str, str | int]:
    """Where a member's weights come from, to be kept with them."""
    return {
        **_member(context, member),
        "step": member.step,
        "dataset": context.dataset,
        "gansweep_version": _VERSIONS["gansweep"],
        "torch_version": _VERSIONS["torch"],
    }


def control_row(
    context: Context,
    kind: str,
    metrics: Mapping[str, float],
    histogram: list[float],
    *,
    extractor: str,
    classes: tuple[str, ...],
) -> dict[str, Any]:
    """What real images, or an untrained generator's, score."""
    return {
        "sweep": context.sweep,
        "kind": kind,
        "dataset": context.dataset,
        "extractor": extractor,
        "eval_images": context.eval_images,
        **{name: metrics.get(name) for name in (*METRICS, *END_METRICS)},
        "mode_histogram": histogram,
        "classes": list(classes),
    }


def _member(context: Context, member: Progress) -> dict[str, Any]:
    return {
        "sweep": context.sweep,
        "trial": member.trial,
        "seed": member.seed,
        "attempt": member.attempt,
    }


def _better(metric: str, first: float, second: float) -> float:
    """The better of two; a number is better than NaN."""
    if first != first:
        return second
    least = DIRECTIONS.get(metric) is Direction.MINIMIZE
    return min(first, second) if least else max(first, second)
