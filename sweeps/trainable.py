"""The Ray Tune Trainables: a worker with a cohort, and one configuration for any Tuner."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from gan_core import checkpoint as cohort_file
from gan_core.config import GanConfig
from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator
from sweeps.assembly import assemble_cohort, assemble_dataset
from sweeps.cluster_plan import gpu_share, slots_here
from sweeps.config import SweepConfig
from sweeps.demand import MEMBER_STEPS, ROOM
from sweeps.nodes import Expected, examine_as_worker
from sweeps.objective import trial_value
from sweeps.plan import Plan
from sweeps.protocol import Reply
from sweeps.shrinking import ShrinkingWorker
from sweeps.store import StorageError, Store

__all__ = ["CohortTrainable", "GanTrainable"]

_HEARTBEAT_S = 20.0
_COHORT_NAME = "cohort.safetensors"
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


class GanTrainable(tune.Trainable):
    """One Tune trial is one configuration, its seeds trained fused: for a Tuner of one's own.

    Tune's config holds hyperparameters, fields of `gan_core.config.GanConfig`; one that the
    trial's loss does not have is left out by a conditional space. Everything else comes from the
    sweep's config: `tune.with_parameters(GanTrainable, sweep=SweepConfig(...))`.

    Each result has the objective (under its metric's name, over all seeds, a diverged one counted
    as untrained, so finite), the means of the other metrics over the seeds that have them,
    `steps`, `diverged_share` and `done`. Checkpoints hold all that a trial is, so it can be
    paused; its hyperparameters cannot be changed on the way, as PBT does.
    """

    def setup(self, config: dict[str, Any], sweep: SweepConfig | None = None) -> None:
        """Makes the members; called by Tune.

        Raises:
            ConfigError: a hyperparameter that `GanConfig` refuses.
            ValueError: no `sweep` was given.
        """
        if sweep is None:
            raise ValueError("use tune.with_parameters(GanTrainable, sweep=SweepConfig(...))")
        self._sweep = sweep
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        if self._device == "cpu":
            torch.set_num_threads(1)
        self._dataset = assemble_dataset(sweep, self._device)
        self._evaluator = Evaluator(self._dataset, sweep.train.eval_images)
        self._cohort = assemble_cohort(
            sweep,
            self._dataset.sample_shape,
            classes=len(self._dataset.classes),
            slots=sweep.train.seeds,
            device=self._device,
        )
        first = sweep.search.seed * 1_000_000
        seeds = range(first, first + sweep.train.seeds)
        self._cohort.admit([GanConfig(**config, seed=seed) for seed in seeds])
        self._untrained = self._measure()[sweep.search.objective]

    def step(self) -> dict[str, Any]:
        """One interval of `train.eval_every` steps."""
        records = run_interval(self._cohort, self._dataset, self._sweep.train.eval_every)
        diverged = [record.diverged_step is not None for record in records]
        metrics = self._measure()
        objective = self._sweep.search.objective
        means = {
            name: sum(sound) / len(sound)
            for name, values in metrics.items()
            if (sound := [v for v, gone in zip(values, diverged, strict=True) if not gone])
        }
        steps = (self.iteration + 1) * self._sweep.train.eval_every
        return means | {
            objective: trial_value(metrics[objective], diverged, self._untrained),
            "steps": steps,
            "diverged_share": sum(diverged) / len(diverged),
            "done": steps >= self._sweep.train.steps or all(diverged),
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Keeps the cohort."""
        cohort_file.save(self._cohort, Path(checkpoint_dir) / _COHORT_NAME)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Takes the cohort up again.

        Args:
            checkpoint: the directory.

        Raises:
            ValueError: it is of another configuration, as PBT would have it.
        """
        loaded = cohort_file.load(Path(checkpoint) / _COHORT_NAME, device=self._device)
        before, now = (
            [member.config for member in cohort.members] for cohort in (loaded, self._cohort)
        )
        if before != now:
            raise ValueError(
                f"the checkpoint is of {before[0]}, this trial has {now[0]}: hyperparameters "
                "cannot change during training"
            )
        self._cohort = loaded

    def _measure(self) -> dict[str, list[float]]:
        """Each metric of each seed, in the order of the slots."""
        samples = self._cohort.generate(self._cohort.members, self._evaluator.eval_images)
        labels = self._cohort.evaluation_labels(self._evaluator.eval_images)
        values = self._evaluator(samples, labels).values
        return {name: value.tolist() for name, value in values.items()}
