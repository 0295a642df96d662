"""Trials as runs of MLflow."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis.trackers.tracker import TrackerError, missing
from analysis.trackers.trial_run import TrialRun

__all__ = ["MLflowTracker"]

_SWEEP, _TRIAL = "gansweep.sweep", "gansweep.trial"
_AT_ONCE = 1000  # metrics that a call of MLflow may have
_LONGEST = 5000  # characters of a tag


class MLflowTracker:
    """An experiment per sweep, named like it; the whole runs in it are FINISHED.

    Args:
        uri: of the tracking server or database; None is what `MLFLOW_TRACKING_URI` says, or
            MLflow's own default.

    Raises:
        TrackerError: MLflow is not installed.
    """

    def __init__(self, uri: str | None = None) -> None:
        try:
            import mlflow
        except ImportError:
            raise missing("MLflow", "mlflow") from None
        self._api = mlflow
        self._client = self._asked(lambda: mlflow.MlflowClient(uri))
        self._experiments: dict[str, str] = {}

    def tracked(self, sweep: str, trials: set[int]) -> set[int]:
        """Those of a sweep's trials that it has whole."""
        found = {
            int(run.data.tags[_TRIAL])
            for run in self._runs(sweep)
            if run.info.status == "FINISHED" and _TRIAL in run.data.tags
        }
        return trials & found

    def add(self, run: TrialRun) -> None:
        """Adds a trial, in place of what a killed process has left of it.

        Raises:
            TrackerError: MLflow does not take it.
        """
        for left in self._runs(run.sweep, f"tags.`{_TRIAL}` = '{run.trial}'"):
            self._asked(lambda left=left: self._client.delete_run(left.info.run_id))
        self._asked(lambda: self._add(run))

    def _add(self, run: TrialRun) -> None:
        from mlflow.entities import Metric, Param, RunTag

        began, ended = _milliseconds(run.began), _milliseconds(run.ended)
        tags = {_SWEEP: run.sweep, _TRIAL: str(run.trial)}
        made = self._client.create_run(
            self._experiment(run.sweep), start_time=began, tags=tags, run_name=run.name
        )
        number = made.info.run_id
        self._client.log_batch(
            number,
            params=[Param(name, str(value)) for name, value in run.parameters.items()],
            tags=[RunTag(name, text[:_LONGEST]) for name, text in run.tags.items()],
        )
        metrics = [
            Metric(name, value, ended, step)
            for name, points in run.curves.items()
            for step, value in points
        ] + [Metric(name, value, ended, 0) for name, value in run.scores.items()]
        for start in range(0, len(metrics), _AT_ONCE):
            self._client.log_batch(number, metrics=metrics[start : start + _AT_ONCE])
        self._pictures(number, run)
        self._client.set_terminated(number, end_time=ended)

    def _pictures(self, number: str, run: TrialRun) -> None:
        for picture in run.pictures:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / f"{picture.name.replace('/', '-')}-{picture.step}.png"
                file.write_bytes(picture.png)
                self._client.log_artifact(number, str(file), "samples")

    def _experiment(self, sweep: str) -> str:
        """Its number; made where there is none."""
        if sweep not in self._experiments:
            found = self._client.get_experiment_by_name(sweep)
            number = found.experiment_id if found else self._client.create_experiment(sweep)
            self._experiments[sweep] = str(number)
        return self._experiments[sweep]

    def _runs(self, sweep: str, which: str = "") -> list[Any]:
        def asked() -> list[Any]:
            found, page = [], None
            while page != "":
                answer = self._client.search_runs([self._experiment(sweep)], which, page_token=page)
                found += answer
                page = answer.token or ""
            return found

        return list(self._asked(asked))

    def _asked(self, question: Any) -> Any:
        try:
            return question()
        except self._api.exceptions.MlflowException as error:
            raise TrackerError(f"MLflow: {' '.join(str(error).split())}") from error


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
