"""A worker with a cohort as a Ray Tune Trainable.

Torch is imported by the worker alone: the driver, which names this class to Tune, is spared the
seconds that it takes.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import ray
from ray import tune

from sweeps.cluster_plan import gpu_share, slots_here
from sweeps.config import SweepConfig
from sweeps.demand import MEMBER_STEPS, ROOM
from sweeps.nodes import Expected, examine_as_worker
from sweeps.plan import Plan
from sweeps.protocol import Reply
from sweeps.store import StorageError, Store

__all__ = ["CohortTrainable"]

_HEARTBEAT_S = 20.0
_IDLE_S = 0.5  # between two askings of a worker for which there is nothing to do
_IDLE_END_S = 30.0


class CohortTrainable(tune.Trainable):
    """One Tune trial is one worker: it holds a device and trains what the study's owner gives it.

    Tune's config holds only `worker`, the worker's number. The result of a step has aggregates;
    what the members did is in the Parquet.
    """

    def setup(
        self,
        config: dict[str, Any],
        sweep: SweepConfig | None = None,
        store: Store | None = None,
        owner: Any = None,
        plan: Plan | None = None,
        expected: Expected | None = None,
    ) -> None:
        """Makes the worker; called by Tune, again after each restart.

        Args:
            config: `{"worker": number}`.
            sweep: its config.
            store: where rows go.
            owner: handle of the actor that owns the study.
            plan: of the sweep.
            expected: what this node must have; a cluster may have got it after the sweep began.

        Raises:
            ConfigError: this node's device has no room for a trial.
            SweepFailure: this node cannot take part.
        """
        if sweep is None or store is None or plan is None:
            raise ValueError("sweep, store and plan are given through tune.with_parameters")
        if expected is not None:
            examine_as_worker(sweep, expected)
        import torch

        from sweeps.shrinking import ShrinkingWorker

        torch.set_num_threads(plan.threads_per_worker)
        number = config["worker"]
        name = f"worker-{number}"
        self._owner = owner
        self._worker = ShrinkingWorker(
            sweep,
            name=name,
            slots=slots_here(sweep, plan, number),
            deaths=ray.get(owner.begin_worker.remote(name)),
            device="cuda" if gpu_share(plan, number) else "cpu",
            link=_RemoteLink(owner, name),
            store=store,
        )
        self._idle_since: float | None = None
        self._control_due = config["worker"] == 0
        self._stopped = threading.Event()
        threading.Thread(target=self._beat, args=(owner, name), daemon=True).start()

    def step(self) -> dict[str, Any]:
        """One interval of the cohort, and what follows at its rung."""
        try:
            advance = self._worker.advance()
            if self._control_due:
                # After the first interval: what it is compared with takes a while to sum up.
                self._control_due = not self._worker.write_control()
        except StorageError as error:
            # Raised, it would count against the trials that the worker holds.
            ray.get(self._owner.give_up.remote(str(error)))
            return {"members": 0, ROOM: self._worker.room, "done": True}
        return {
            "members": advance.members,
            MEMBER_STEPS: advance.member_steps,
            "ended_trials": advance.ended,
            ROOM: self._worker.room,
            "done": advance.done or self._is_idle_for_good(advance.members),
        }

    def _is_idle_for_good(self, members: int) -> bool:
        """Whether nothing was to do for a while and no trial is left to begin.

        Then the resources are better given back, to an autoscaler too. Should another worker
        break, it is that one's restart that goes on with its trials.
        """
        if members:
            self._idle_since = None
            return False
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        time.sleep(_IDLE_S)
        if now - self._idle_since < _IDLE_END_S:
            return False
        status = ray.get(self._owner.status.remote())
        return bool(status.finished + status.running >= status.total)

    def cleanup(self) -> None:
        """Ends the heartbeat."""
        self._stopped.set()

    def _beat(self, owner: Any, name: str) -> None:
        # A call after Ray has ended would begin another.
        while not self._stopped.wait(_HEARTBEAT_S) and ray.is_initialized():
            owner.heartbeat.remote(name)


class _RemoteLink:
    """The way from one worker to the actor that owns the study."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name

    def exchange(self, **message: Any) -> Reply:
        reply: Reply = ray.get(self._owner.exchange.remote(self._name, **message))
        return reply

    def release(self) -> None:
        ray.get(self._owner.release.remote(self._name))

    def notify(self, line: str) -> None:
        self._owner.notify.remote(line)
