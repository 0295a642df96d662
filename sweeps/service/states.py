"""Where a sweep stands, as the service tells it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Begun", "Counts", "RunState", "SweepState"]


class RunState(StrEnum):
    """What a sweep is doing."""

    PENDING = "pending"
    """Submitted, and not running yet."""
    RUNNING = "running"
    STOPPED = "stopped"
    """Not running, and trials are left: it can go on."""
    DONE = "done"
    FAILED = "failed"
    """Its job ended with an error; `message` says which. It can go on once that is mended."""
    UNREADABLE = "unreadable"
    """Its files are damaged; `message` says which."""


class Begun(StrEnum):
    """By whom a sweep was begun, as far as is known."""

    JOB = "job"
    """As a Ray job, by this service or `gansweep submit`."""
    SHELL = "shell"
    """By `gansweep run`, or it is not known any more."""


class Counts(BaseModel):
    """Trials, by how they ended."""

    model_config = ConfigDict(frozen=True)

    complete: int = Field(default=0, ge=0)
    pruned: int = Field(default=0, ge=0)
    diverged: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)

    @property
    def ended(self) -> int:
        """All of them."""
        return self.complete + self.pruned + self.diverged + self.failed


class SweepState(BaseModel):
    """A sweep as it stands now."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: RunState
    message: str = Field(default="", description="What is wrong, in one line; else empty")
    begun_by: Begun
    dataset: str = ""
    architecture: str = ""
    objective: str = Field(default="", description="What trials are judged by")
    greater_is_better: bool = False
    trials: int = Field(default=0, ge=0, description="Asked for")
    ended: int = Field(default=0, ge=0, description="Trials that ended, in whatever way")
    counts: Counts = Counts()
    in_training: int = Field(default=0, ge=0, description="Trials begun and not ended")
    share: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Of all training, 0 to 1",
    )
    training_steps: int = Field(default=0, ge=0, description="Of the trials in training")
    best_trial: int | None = None
    best_value: float | None = None
    changed_at: float | None = Field(default=None, description="Last result, seconds of the epoch")
    version: str = Field(default="", description="Changes whenever results do")

    @property
    def is_over(self) -> bool:
        """Whether it does not run and is not about to."""
        return self.state not in (RunState.PENDING, RunState.RUNNING)
