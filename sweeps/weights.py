"""Networks in a sweep's directory: whose are kept, and under which names."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

__all__ = [
    "MEMBERS_FOLDER",
    "WEIGHTS_FOLDER",
    "KeepWeights",
    "kept_members",
    "kept_trials",
    "members_path",
    "weights_path",
]

WEIGHTS_FOLDER = "checkpoints"
"""Networks of members that ended."""
MEMBERS_FOLDER = "members"
"""Trials in training, see `sweeps.held`."""

_NAME = re.compile(r"trial-(\d+)-seed-(\d+)\.safetensors")
_TRIAL_NAME = re.compile(r"trial-(\d+)\.safetensors")


class KeepWeights(StrEnum):
    """Of which members a sweep keeps the networks, by how they ended."""

    COMPLETE = "complete"
    """Those trained to the last step."""
    ALL = "all"
    """The pruned too, and the diverged, as they were before the update that broke them."""
    NONE = "none"

    def keeps(self, status: str) -> bool:
        """Whether a member that ended so is kept."""
        return self is KeepWeights.ALL or (self is KeepWeights.COMPLETE and status == self.value)


def weights_path(directory: Path, trial: int, seed: int) -> Path:
    """Where a member's networks are kept; a trial begun again replaces what its last try left."""
    return directory / WEIGHTS_FOLDER / f"trial-{trial}-seed-{seed}.safetensors"


def kept_members(directory: Path) -> set[tuple[int, int]]:
    """(trial, seed) of every member whose networks are there."""
    found = (_NAME.fullmatch(path.name) for path in (directory / WEIGHTS_FOLDER).glob("*"))
    return {(int(match[1]), int(match[2])) for match in found if match}


def members_path(directory: Path, trial: int) -> Path:
    """Where the members of a trial in training are kept."""
    return directory / MEMBERS_FOLDER / f"trial-{trial}.safetensors"


def kept_trials(directory: Path) -> set[int]:
    """Trials in training that can be gone on with."""
    found = (_TRIAL_NAME.fullmatch(path.name) for path in (directory / MEMBERS_FOLDER).glob("*"))
    return {int(match[1]) for match in found if match}
