"""The way of a sweep's trials into a tracker."""

import sys

import pytest

from analysis.trackers.to_mlflow import MLflowTracker
from analysis.trackers.to_tensorboard import TensorBoardTracker
from analysis.trackers.to_wandb import WandbTracker
from analysis.trackers.tracker import TrackerError, track


class Notebook:
    """Keeps runs in a list."""

    def __init__(self, has=()):
        self.has, self.runs = set(has), []

    def tracked(self, sweep, trials):
        return self.has & trials

    def add(self, run):
        self.runs.append(run)


def test_only_what_the_tracker_lacks_is_added_and_progress_is_told(sweep):
    tracker, seen = Notebook(has={1}), []
    assert track(sweep, tracker, seen=lambda done, of: seen.append((done, of))) == 2
    assert [run.trial for run in tracker.runs] == [0, 2]
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_sweep_without_ended_trials_adds_nothing(writer):
    writer.control()
    writer.members(writer.member(0), ended=False)
    assert track(writer.load(), Notebook()) == 0


@pytest.mark.parametrize(
    ("module", "make", "extra"),
    [
        ("tensorboard.summary.writer", lambda d: TensorBoardTracker(d), "tensorboard"),
        ("mlflow", lambda d: MLflowTracker(), "mlflow"),
        ("wandb", lambda d: WandbTracker(d), "wandb"),
    ],
)
def test_a_tracker_that_is_not_installed_names_its_extra(
    module, make, extra, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TrackerError, match=rf'pip install "gansweep\[{extra}\]"'):
        make(tmp_path)
