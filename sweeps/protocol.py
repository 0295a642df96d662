"""What a worker and the owner of the study say to each other. Free of optuna, ray and torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Assignment", "Final", "Outcome", "Reply", "RungReport", "StudyStatus"]


class Outcome(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    """Trained to its last step."""
    PRUNED = "pruned"
    """Stopped at a rung because others were better."""
    DIVERGED = "diverged"
    """More of its seeds diverged than allowed."""
    FAILED = "failed"
    """Never ended by itself; says nothing about its hyperparameters."""


@dataclass(frozen=True)
class Assignment:
    """A trial that the worker is to train from now on."""

    trial: int
    """Optuna's trial number."""
    attempt: int
    """0, and one more each time that the trial is given out again."""
    hyperparameters: dict[str, float | int | str]
    """Fields of `gan_core.config.GanConfig`, without the seed."""
    seeds: tuple[int, ...]
    """One for each member of the trial."""
    breaks: int = 0
    """How often its workers died in a row, see `sweeps.ledger.Ticket`."""


@dataclass(frozen=True)
class RungReport:
    """What a trial reached at a rung."""

    trial: int
    step: int
    """G updates made, > 0."""
    value: float
    """The objective over all seeds, see `sweeps.objective.trial_value`."""
    diverged: int
    """Seeds that diverged so far."""


@dataclass(frozen=True)
class Final:
    """A trial's end; sent once the rows of its members are durable, and only then told."""

    trial: int
    outcome: Outcome
    diverged: int
    """Seeds that diverged."""


@dataclass(frozen=True)
class Reply:
    """What the worker is to do next. An exchange repeated after a lost reply brings a new one."""

    prune: tuple[int, ...] = ()
    """Trials to end: as diverged if more seeds diverged than allowed, else as pruned."""
    dropped: tuple[int, ...] = ()
    """Held trials that are no longer this worker's: evict them and write nothing."""
    refills: tuple[Assignment, ...] = ()
    """Trials to begin or to go on with, at most as many as wanted."""
    lost: tuple[Assignment, ...] = ()
    """Trials given up: write `failed` rows, then send a `Final` with `FAILED`."""
    done: bool = False
    """Nothing is left, for any worker."""
    stop: bool = False
    """The user asked to stop: end without finishing what is held, a resumed sweep will."""


@dataclass(frozen=True, kw_only=True)
class StudyStatus:
    """Where a sweep stands."""

    total: int
    """Trials asked for."""
    complete: int
    pruned: int
    diverged: int
    failed: int
    running: int
    """Begun and not ended, whether or not a worker holds them at this moment."""
    begun: float
    """Of the running ones, in trials: each counts by the share of its steps at its last rung."""
    best_trial: int | None
    """Of the complete ones."""
    best_value: float | None
    member_steps: int
    """G updates over all members and workers, as the workers counted them."""
    workers: int
    """Workers heard of within the lease."""
    stopping: bool
    ready: int = 0
    """Of the running ones, those that were prepared and no worker was given yet."""
    failure: str | None = None
    """Why no worker can go on, in one line."""
    notices: tuple[str, ...] = ()
    """What the workers of this run had to say to who watches it, in lines; the oldest of them."""

    @property
    def finished(self) -> int:
        """Trials that ended, in whatever way."""
        return self.complete + self.pruned + self.diverged + self.failed

    @property
    def done(self) -> bool:
        """Whether every trial asked for has ended."""
        return self.running == 0 and self.finished >= self.total
