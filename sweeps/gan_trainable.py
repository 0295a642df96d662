"""One GAN configuration as a Ray Tune Trainable, for a Tuner of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ray import tune

from gan_core import checkpoint as cohort_file
from gan_core.config import GanConfig
from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator
from sweeps.assembly import assemble_cohort, assemble_dataset
from sweeps.config import SweepConfig
from sweeps.objective import trial_value

__all__ = ["GanTrainable"]

_COHORT_NAME = "cohort.safetensors"


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
