"""Sweeps of GAN hyperparameters on Ray Tune and Optuna."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sweeps.import_path import pin_packages

if TYPE_CHECKING:
    from sweeps.config import SweepConfig
    from sweeps.config_file import load_config
    from sweeps.gan_trainable import GanTrainable
    from sweeps.runner import run

_HOMES = {
    "GanTrainable": "gan_trainable",
    "SweepConfig": "config",
    "load_config": "config_file",
    "run": "runner",
}

__all__ = ["GanTrainable", "SweepConfig", "load_config", "run"]

# A user's own `analysis.py` beside their script must not be taken for ours.
pin_packages()


def __getattr__(name: str) -> Any:
    """Imports what is asked for: torch and ray take seconds, and a config needs neither."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"sweeps.{_HOMES[name]}"), name)
