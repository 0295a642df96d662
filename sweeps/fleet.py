"""A sweep's processes on a running Ray: the study's owner, and the workers under Tune."""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError

from gan_core.config import ConfigError
from sweeps.config import SweepConfig
from sweeps.ledger import MOST_BREAKS
from sweeps.mistakes import SweepFailure
from sweeps.plan import Plan
from sweeps.protocol import StudyStatus
from sweeps.space import Space
from sweeps.store import Store
from sweeps.study import StudyOwner
from sweeps.trainable import CohortTrainable

__all__ = ["Fleet", "SweepError"]

# Of a worker that broke: one more than a trial may break it, so that even a lone worker lives to
# be told that the trial is given up.
_RESTARTS = MOST_BREAKS + 1


class SweepError(SweepFailure):
    """The workers broke; the message is one line."""


class Fleet:
    """Begins a sweep's processes; Ray must be running.

    Args:
        config: of the sweep.
        plan: how many workers, and with what.
        journal: Optuna's, of the sweep.
        store: where the workers' rows go.
        log_dir: where Tune may keep its state, which nothing reads again.
    """

    def __init__(
        self, config: SweepConfig, plan: Plan, journal: Path, store: Store, log_dir: Path
    ) -> None:
        self._owner = _own_study(config, plan, journal)
        self._fit = _Fit(_tuner(config, plan, store, log_dir, self._owner))
        self._fit.start()

    def is_running(self) -> bool:
        """Whether there are workers."""
        return self._fit.is_alive()

    def wait(self, seconds: float) -> None:
        """Returns when all workers have ended, or after so long."""
        self._fit.join(seconds)

    def status(self) -> StudyStatus:
        """Where the sweep stands."""
        return ray.get(self._owner.status.remote())

    def request_stop(self) -> None:
        """Lets the workers end at their next rung."""
        ray.get(self._owner.request_stop.remote())

    def failure(self) -> Exception:
        """Why all workers have ended though trials are left."""
        return _failure(self._fit.errors)


class _Fit(threading.Thread):
    """Tune's loop, beside the main thread, which draws and hears Ctrl-C."""

    def __init__(self, tuner: tune.Tuner) -> None:
        super().__init__(name="tune", daemon=True)
        self._tuner = tuner
        self.errors: list[BaseException] = []

    def run(self) -> None:
        """Runs until all workers have ended."""
        try:
            self.errors = list(self._tuner.fit().errors)
        except Exception as error:  # the main thread raises it
            self.errors = [error]


def _failure(errors: Sequence[BaseException]) -> Exception:
    """What to raise when the workers have ended and trials are left."""
    for error in errors:
        if isinstance(error, RayTaskError) and isinstance(error.cause, SweepFailure | ConfigError):
            return error.cause
    if errors:
        # Its last line is the error itself, below the traceback of the worker.
        last = str(errors[0]).strip().splitlines()[-1]
        return SweepError(f"a worker broke {_RESTARTS + 1} times, at last with {last}")
    return SweepError("the workers ended before the sweep was done")


def _own_study(config: SweepConfig, plan: Plan, journal: Path) -> Any:
    """The actor that owns the study; its calls may be repeated, so Ray repeats them for us."""
    options = {
        "num_cpus": 0,
        "max_restarts": -1,
        "max_task_retries": -1,
    }
    return (
        ray.remote(StudyOwner)
        .options(**options)
        .remote(
            config.settings(max_in_flight=plan.max_in_flight),
            Space(config).suggest,
            journal,
            secrets.token_hex(8),
        )
    )


def _tuner(config: SweepConfig, plan: Plan, store: Store, log_dir: Path, owner: Any) -> tune.Tuner:
    trainable = tune.with_parameters(
        CohortTrainable,
        sweep=config,
        store=store,
        owner=owner,
        slots=plan.slots,
        device=plan.device,
        threads=plan.threads_per_worker,
    )
    # Whole workers must fit on each device: three on two devices are two on one of them.
    share = 1 / math.ceil(plan.workers / plan.gpus) if plan.gpus else 0
    resources = {"cpu": 1, "gpu": share}
    return tune.Tuner(
        tune.with_resources(trainable, resources),
        param_space={"worker": tune.grid_search(list(range(plan.workers)))},
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(log_dir),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_RESTARTS),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
