"""Trials as TensorBoard's event files: curves, pictures and the HParams table."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

from analysis.trackers.tracker import TrackerError, missing
from analysis.trackers.trial_run import Picture, TrialRun

__all__ = ["TensorBoardTracker"]

_RGB, _GREY = 3, 1


class TensorBoardTracker:
    """A directory for `tensorboard --logdir`: `<directory>/<sweep>/trial-00007/`, a run each.

    A run is written under a name that begins with a dot, which TensorBoard does not show apart,
    and then renamed: it is there whole or not at all.

    Args:
        directory: made when needed.

    Raises:
        TrackerError: TensorBoard is not installed.
    """

    def __init__(self, directory: Path) -> None:
        try:
            from tensorboard.summary.writer import event_file_writer
        except ImportError:
            raise missing("TensorBoard", "tensorboard") from None
        self._directory, self._writer = directory, event_file_writer.EventFileWriter

    def tracked(self, sweep: str, trials: set[int]) -> set[int]:
        """Those of a sweep's trials that it has whole."""
        there = {path.name for path in (self._directory / sweep).glob("trial-*")}
        return {trial for trial in trials if f"trial-{trial:05d}" in there}

    def add(self, run: TrialRun) -> None:
        """Adds a trial.

        Raises:
            TrackerError: the directory cannot be written.
        """
        folder = self._directory / run.sweep
        whole, half = folder / run.name, folder / f".{run.name}"
        try:
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            self._write(half, run)
            half.rename(whole)
        except OSError as error:
            raise TrackerError(f"cannot write {whole}: {error.strerror or error}") from error

    def _write(self, folder: Path, run: TrialRun) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        writer = self._writer(str(folder))
        began, span = run.began.timestamp(), (run.ended - run.began).total_seconds()
        last = max((points[-1][0] for points in run.curves.values()), default=0)

        def add(summary: Any, step: int) -> None:
            # TensorBoard can plot against time: what is between two ends was steady, about.
            at = began + span * (step / last if last else 1)
            writer.add_event(Event(wall_time=at, step=step, summary=summary))

        add(hparams_pb(run.parameters, trial_id=f"{run.sweep}/{run.name}"), 0)
        for name, points in run.curves.items():
            for step, value in points:
                add(Summary(value=[Summary.Value(tag=name, simple_value=value)]), step)
        for name, value in run.scores.items():
            add(Summary(value=[Summary.Value(tag=name, simple_value=value)]), last)
        for picture in run.pictures:
            image = Summary.Image(**_image(picture))
            add(Summary(value=[Summary.Value(tag=picture.name, image=image)]), picture.step)
        writer.close()


def _image(picture: Picture) -> dict[str, Any]:
    # The header of every PNG: width, height, bits, kind.
    width, height, _, kind = struct.unpack(">IIBB", picture.png[16:26])
    colours = _GREY if kind == 0 else _RGB
    return {
        "width": width,
        "height": height,
        "colorspace": colours,
        "encoded_image_string": picture.png,
    }
