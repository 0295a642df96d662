"""Keeps a worker's trials in training, now and then, so that whoever gets one goes on with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from gan_core.cohort import Cohort
from sweeps.held import HeldTrial, kept_bytes, take_up
from sweeps.protocol import Assignment
from sweeps.store import StorageError, Store

__all__ = ["Keeper"]

_log = logging.getLogger(__name__)

_MOST_OF_THE_TIME = 0.05
"""Share of a worker's time that keeping may take: networks may be large, and disks slow."""


class Keeper:
    """One worker's; a trial is one file, replaced whole.

    What cannot be written is said in the log, and training goes on: a trial that is not kept costs
    the repetition of its training if its worker dies, while a worker that gives up costs it now. A
    storage that takes no rows either ends the sweep by those.

    Args:
        store: where the files go.
        every_s: least seconds between two times of keeping; 0 keeps at every rung, None never.
        clock: seconds, never going back.
    """

    def __init__(
        self, store: Store, every_s: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._every_s, self._clock = store, every_s, clock
        self._due = clock() + (every_s or 0)
        self._kept: dict[int, int] = {}  # the rung at which each trial was kept

    def keep(self, cohort: Cohort, trials: Iterable[HeldTrial], *, now: bool = False) -> None:
        """Keeps the trials if it is time to, those that have trained since.

        Args:
            cohort: where their members stand, between two intervals.
            trials: whose rows are stored.
            now: whether it is the last chance.
        """
        begin = self._clock()
        if self._every_s is None or (begin < self._due and not now):
            return
        for held in trials:
            trial = held.assignment.trial
            if held.rung > self._kept.get(trial, 0):
                self._write(trial, kept_bytes(cohort, held))
                self._kept[trial] = held.rung
        end = self._clock()
        pause = max(self._every_s, (end - begin) / _MOST_OF_THE_TIME) if self._every_s else 0
        self._due = end + pause

    def take_up(self, cohort: Cohort, assignment: Assignment) -> HeldTrial | None:
        """The trial as it was kept last, its members in the cohort; None where it begins.

        Raises:
            StorageError: what was kept cannot be read.
        """
        data = self._store.read_members(assignment.trial) if assignment.attempt else None
        held = None if data is None else take_up(cohort, data, assignment)
        # It may have been this worker's before, and further on.
        self._kept[assignment.trial] = held.rung if held else 0
        if data is not None and held is None:
            what = "what was kept is damaged, or of another trial or version"
            _log.warning("trial %d begins anew: %s", assignment.trial, what)
        return held

    def drop(self, trials: Sequence[int]) -> None:
        """Forgets trials whose ends are told."""
        for trial in trials:
            self._kept.pop(trial, None)
        try:
            self._store.drop_members(trials)
        except StorageError as error:  # of no harm: nobody is given the trial again
            _log.warning("%s", error)

    def _write(self, trial: int, content: bytes) -> None:
        try:
            self._store.write_members(trial, content)
        except StorageError as error:
            _log.warning("a trial in training is not kept: %s", error)
