"""A sweep's trials in the experiment trackers that people have: one run per trial.

What a tracker gets is made from the sweep's tables after a trial has ended, so no training waits
for it, it can be done at any time and from anywhere, and doing it again adds nothing.
"""

from __future__ import annotations

from analysis.trackers.to_mlflow import MLflowTracker
from analysis.trackers.to_tensorboard import TensorBoardTracker
from analysis.trackers.to_wandb import WandbTracker
from analysis.trackers.tracker import Tracker, TrackerError, track

__all__ = [
    "MLflowTracker",
    "TensorBoardTracker",
    "Tracker",
    "TrackerError",
    "WandbTracker",
    "track",
]
