"""A sweep's processes on a running Ray: the study's owner, and the workers under Tune."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.progress_reporter import TrialProgressCallback

from gan_core.config import ConfigError
from sweeps.cluster_plan import gpu_share
from sweeps.config import SweepConfig
from sweeps.demand import Demand
from sweeps.ledger import MOST_BREAKS
from sweeps.mistakes import SweepFailure, last_line
from sweeps.nodes import Expected
from sweeps.owner import end_owner, own_study
from sweeps.plan import Plan
from sweeps.protocol import StudyStatus
from sweeps.store import Store
from sweeps.study_place import Place
from sweeps.trainable import CohortTrainable

__all__ = ["Fleet", "SweepError", "restarts"]

_PATIENCE_S = 5.0


class SweepError(SweepFailure):
    """The workers broke; the message is one line."""


class Fleet:
    """Begins a sweep's processes; Ray must be running.

    Args:
        config: of the sweep.
        plan: how many workers, and with what.
        place: of the study.
        store: where the workers' rows go.
        log_dir: where Tune may keep its state, which nothing reads again.
        expected: what each worker sees to before it begins; None where all is one machine.
    """

    def __init__(
        self,
        config: SweepConfig,
        plan: Plan,
        place: Place,
        store: Store,
        log_dir: Path,
        expected: Expected | None = None,
    ) -> None:
        self._owner = own_study(config, plan, place)
        self._demand = Demand(max(1, plan.slots // config.train.seeds))
        bare = config.for_workers()
        tuner = _tuner(bare, plan, store, log_dir, self._owner, expected, self._demand)
        self._fit = _Fit(tuner)
        # Workers take longer to begin than the owner does, and wait for it.
        self._fit.start()
        self._asked: Any = None

    def is_running(self) -> bool:
        """Whether there are workers."""
        return self._fit.is_alive()

    def wait(self, seconds: float) -> None:
        """Returns when all workers have ended, or after so long."""
        self._fit.join(seconds)

    def glance(self) -> StudyStatus | None:
        """Where the sweep stood when this was asked for; None if there is no answer yet.

        Raises:
            SweepError: the study cannot be owned.
        """
        self._asked = self._asked or self._owner.status.remote()
        if not ray.wait([self._asked], timeout=_PATIENCE_S)[0]:
            return None
        asked, self._asked = self._asked, None
        return self._heard(asked)

    def status(self) -> StudyStatus:
        """Where the sweep stands, however long the answer takes.

        Raises:
            SweepError: the study cannot be owned.
        """
        return self._heard(self._owner.status.remote())

    def _heard(self, asked: Any) -> StudyStatus:
        try:
            status: StudyStatus = ray.get(asked)
        except RayActorError as error:
            raise SweepError(f"the study's owner cannot live: {last_line(error)}") from None
        self._demand.hear(status)
        return status

    def request_stop(self) -> None:
        """Lets the workers end at their next rung, and withdraws those that wait."""
        ray.get(self._owner.request_stop.remote())
        self.status()

    def close(self) -> None:
        """Ends the owner, which would outlive this process. Everything is in the journal."""
        end_owner(self._owner)

    def failure(self) -> Exception:
        """Why all workers have ended though trials are left."""
        notices = self.status().notices
        return _failure(self._fit.errors, notices[-1] if notices else "")


class _Fit(threading.Thread):
    """Tune's loop, beside the main thread, which draws and hears Ctrl-C."""

    def __init__(self, tuner: tune.Tuner) -> None:
        super().__init__(name="tune", daemon=True)
        self._tuner = tuner
        self.errors: list[BaseException] = []

    def run(self) -> None:
        """Runs until all workers have ended."""
        try:
            with _silent(), _one_ray():
                self.errors = list(self._tuner.fit().errors)
        except Exception as error:  # the main thread raises it
            self.errors = [error]


def restarts(trials: int) -> int:
    """How often a worker that dies is begun again, in a row and without having trained.

    Each time it takes half of the trials, until it is left alone with the one that kills it. Then
    it lives to be told that this trial is given up, and one more; whom a third one kills is broken
    itself.

    Args:
        trials: that it holds at a time at first.
    """
    return (trials - 1).bit_length() + 3 * MOST_BREAKS


def _failure(errors: Sequence[BaseException], notice: str) -> Exception:
    """What to raise when the workers have ended and trials are left."""
    for error in errors:
        if isinstance(error, RayTaskError) and isinstance(error.cause, SweepFailure | ConfigError):
            return error.cause
    if errors:
        last = last_line(errors[0])
        # What a worker raises as it begins comes as text alone.
        _, is_ours, message = last.partition(f"{SweepFailure.__module__}.SweepFailure: ")
        if is_ours:
            return SweepFailure(message)
        return SweepError(f"a worker broke again and again, at last with {last}")
    why = f": {notice}" if notice else ""
    return SweepError(f"the workers ended before the sweep was done{why}")


def _tuner(
    config: SweepConfig,
    plan: Plan,
    store: Store,
    log_dir: Path,
    owner: Any,
    expected: Expected | None,
    demand: Demand,
) -> tune.Tuner:
    trainable = tune.with_parameters(
        CohortTrainable, sweep=config, store=store, owner=owner, plan=plan, expected=expected
    )
    return tune.Tuner(
        tune.with_resources(trainable, lambda worker: _claim(plan, worker["worker"])),
        param_space={"worker": tune.grid_search(list(range(plan.workers)))},
        tune_config=tune.TuneConfig(scheduler=demand),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(log_dir),
            verbose=0,
            failure_config=tune.FailureConfig(
                max_failures=restarts(max(1, plan.slots // config.train.seeds))
            ),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps Tune from saying of a worker that ends before its first result that it did.

    It does on standard output, which is the results', at every verbosity. A callback of our own in
    the place of Tune's would do, but with one Tune imports MLflow and W&B where they are installed.
    """
    said = TrialProgressCallback._print
    TrialProgressCallback._print = lambda self, msg: None
    try:
        yield
    finally:
        TrialProgressCallback._print = said


@contextlib.contextmanager
def _one_ray() -> Iterator[None]:
    """Keeps Tune's loop from beginning another Ray, as whoever calls Ray does once it has ended.

    The main thread does not wait for the loop after a second Ctrl-C. Should the private name go,
    such a Ray is begun again.
    """
    hook: Any = importlib.import_module("ray._private.auto_init_hook")
    begins = vars(hook).get("enable_auto_connect")
    hook.enable_auto_connect = False
    try:
        yield
    finally:
        if begins is not None:
            hook.enable_auto_connect = begins


def _claim(plan: Plan, worker: int) -> tune.PlacementGroupFactory:
    """What a worker claims of its node."""
    share = gpu_share(plan, worker)
    bundle = {"CPU": 1.0} | ({"GPU": share} if share else {})
    return tune.PlacementGroupFactory([bundle], strategy="SPREAD")
