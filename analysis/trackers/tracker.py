"""What every tracker can do, and the way of a sweep's trials into one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from analysis.trackers.trial_run import TrialRun, trial_runs
from analysis.verdict import judge

if TYPE_CHECKING:
    from analysis.sweep import Sweep

__all__ = ["Tracker", "TrackerError", "missing", "track"]


class TrackerError(Exception):
    """The tracker cannot be used; the message is one line that says why."""


class Tracker(Protocol):
    """Where runs go."""

    def tracked(self, sweep: str, trials: set[int]) -> set[int]:
        """Those of a sweep's trials that it has whole."""
        ...

    def add(self, run: TrialRun) -> None:
        """Adds a trial, in place of what a killed process has left of it."""
        ...


def track(
    sweep: Sweep, tracker: Tracker, *, seen: Callable[[int, int], None] = lambda done, of: None
) -> int:
    """Gives a tracker the trials that have ended and that it does not have.

    Args:
        sweep: from `analysis.load`.
        tracker: where to.
        seen: told how many are added, and of how many.

    Returns:
        How many were added.

    Raises:
        TrackerError: the tracker cannot be used.
    """
    ended = {int(trial) for trial in sweep.trials["trial"].unique()}
    new = ended - tracker.tracked(sweep.name, ended)
    seen(0, len(new))
    if new:
        for done, run in enumerate(trial_runs(sweep, judge(sweep), new), 1):
            tracker.add(run)
            seen(done, len(new))
    return len(new)


def missing(package: str, extra: str) -> TrackerError:
    """Says what to install."""
    return TrackerError(f'{package} is not installed: pip install "gansweep[{extra}]"')
