"""How many workers a sweep still has use for: what an autoscaler sees of it follows from that."""

from __future__ import annotations

import math
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweeps.protocol import StudyStatus

__all__ = ["MEMBER_STEPS", "ROOM", "Demand"]

MEMBER_STEPS = "member_steps"
"""Key of a worker's results: G updates since its process began."""

ROOM = "room"
"""Key of a worker's results: trials that it can hold at a time."""


class Demand(FIFOScheduler):
    """Tune's scheduler of workers; withdraws those that wait in vain.

    A worker that waits for resources is what an autoscaler begins a node for. It is withdrawn as
    soon as those that run have room for all trials that are left, and when the sweep ends; so a
    cluster does not grow for the last few trials. One that broke stays: it may hold trials that
    nobody else would finish.

    Args:
        room: trials that a worker can hold at a time, for those that have not said.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._status: StudyStatus | None = None
        self._is_over = False

    def hear(self, status: StudyStatus) -> None:
        """Takes in where the sweep stands; from another thread than Tune's."""
        self._status = status
        self._is_over |= status.done or status.stopping

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Called by Tune: lets only those failures of a worker count that come in a row."""
        if result.get(MEMBER_STEPS):
            trial.run_metadata.num_failures = 0
        decision: str = super().on_trial_result(tune_controller, trial, result)
        return decision

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Called by Tune at every turn of its loop."""
        for trial in self._in_vain(tune_controller.get_trials()):
            tune_controller.stop_trial(trial)
        return super().choose_trial_to_run(tune_controller)

    def _in_vain(self, workers: list[Trial]) -> list[Trial]:
        waiting = [worker for worker in workers if worker.status == Trial.PENDING]
        if self._is_over or self._status is None:
            return waiting if self._is_over else []
        left = self._status.total - self._status.finished
        rooms = [
            (worker.last_result or {}).get(ROOM, self._room)
            for worker in workers
            if worker.status == Trial.RUNNING
        ]
        useful = max(0, math.ceil((left - sum(rooms)) / self._room))
        fresh = [worker for worker in waiting if not _has_begun(worker)]
        return fresh[max(0, useful - (len(waiting) - len(fresh))) :]


def _has_begun(worker: Trial) -> bool:
    """Whether it may hold trials: Tune counts no failure of one whose node was announced to go."""
    return bool(worker.num_failures) or worker.run_metadata.start_time is not None
