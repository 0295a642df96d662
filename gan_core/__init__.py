"""GAN training for many members at once, in PyTorch alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_core.cohort import Cohort, Member
    from gan_core.config import CohortConfig, ConfigError, GanConfig, LossVariant, Noise, Precision
    from gan_core.data import Dataset, load_dataset
    from gan_core.export import MemberConfig, load_member, save_member
    from gan_core.loop import IntervalRecord, run_interval, train

_HOMES = {
    "Cohort": "cohort",
    "CohortConfig": "config",
    "ConfigError": "config",
    "Dataset": "data",
    "GanConfig": "config",
    "IntervalRecord": "loop",
    "LossVariant": "config",
    "Member": "cohort",
    "MemberConfig": "export",
    "Noise": "config",
    "Precision": "config",
    "load_dataset": "data",
    "load_member": "export",
    "run_interval": "loop",
    "save_member": "export",
    "train": "loop",
}

__all__ = [
    "Cohort",
    "CohortConfig",
    "ConfigError",
    "Dataset",
    "GanConfig",
    "IntervalRecord",
    "LossVariant",
    "Member",
    "MemberConfig",
    "Noise",
    "Precision",
    "load_dataset",
    "load_member",
    "run_interval",
    "save_member",
    "train",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: torch takes seconds, and a config does not need it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"gan_core.{_HOMES[name]}"), name)
