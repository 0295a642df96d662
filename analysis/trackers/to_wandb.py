"""Trials as runs of Weights & Biases."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

from analysis.trackers.tracker import TrackerError, missing
from analysis.trackers.trial_run import TrialRun

__all__ = ["WandbTracker"]


class WandbTracker:
    """A project whose runs are grouped by sweep.

    It follows wandb's own settings: `WANDB_API_KEY`, `WANDB_ENTITY`, and `WANDB_MODE=offline`,
    which writes files for `wandb sync`. Which trials it has is noted in the directory, and a run's
    id is made of its sweep and number, so that one that a killed process began is gone on with.

    Args:
        directory: for wandb's files and the notes; made when needed.
        project: of Weights & Biases.

    Raises:
        TrackerError: wandb is not installed.
    """

    def __init__(self, directory: Path, project: str = "gansweep") -> None:
        try:
            import wandb
        except ImportError:
            raise missing("wandb", "wandb") from None
        self._api, self._directory, self._project = wandb, directory, project

    def tracked(self, sweep: str, trials: set[int]) -> set[int]:
        """Those of a sweep's trials that it has whole."""
        return {trial for trial in trials if self._note(sweep, trial).exists()}

    def add(self, run: TrialRun) -> None:
        """Adds a trial.

        Raises:
            TrackerError: wandb does not take it, such as without a login.
        """
        note = self._note(run.sweep, run.trial)
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            self._add(run)
            note.touch()
        except (self._api.errors.Error, OSError) as error:
            raise TrackerError(f"wandb: {' '.join(str(error).split())}") from error

    def _add(self, run: TrialRun) -> None:
        begun = self._api.init(
            project=self._project,
            dir=str(self._directory),
            group=run.sweep,
            name=f"{run.sweep}-{run.trial}",
            id=_id(run.sweep, run.trial),
            resume="allow",
            config={**run.parameters, "sweep": run.sweep, "trial": run.trial, **run.tags},
            settings=self._api.Settings(silent=True, console="off", x_disable_stats=True),
        )
        for step, values in sorted(self._by_step(run).items()):
            begun.log(values, step=step)
        begun.summary.update(run.scores)
        begun.finish()

    def _by_step(self, run: TrialRun) -> dict[int, dict[str, Any]]:
        """Wandb takes steps in their order alone."""
        from PIL import Image

        steps: dict[int, dict[str, Any]] = defaultdict(dict)
        for name, points in run.curves.items():
            for step, value in points:
                steps[step][name] = value
        for picture in run.pictures:
            image = Image.open(io.BytesIO(picture.png))
            steps[picture.step][picture.name] = self._api.Image(image)
        return steps

    def _note(self, sweep: str, trial: int) -> Path:
        return self._directory / "gansweep" / self._project / f"{_id(sweep, trial)}.tracked"


def _id(sweep: str, trial: int) -> str:
    return f"{hashlib.sha256(sweep.encode()).hexdigest()[:10]}-{trial}"
