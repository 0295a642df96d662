"""Networks in a sweep's storage: whose are kept, and under which names."""

from __future__ import annotations

import re
from enum import StrEnum

__all__ = [
    "MEMBERS_FOLDER",
    "WEIGHTS_FOLDER",
    "KeepWeights",
    "member_of",
    "members_name",
    "trial_of",
    "weights_name",
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


def weights_name(trial: int, seed: int) -> str:
    """Where a member's networks are kept; a trial begun again replaces what its last try left."""
    return f"{WEIGHTS_FOLDER}/trial-{trial}-seed-{seed}.safetensors"


def member_of(name: str) -> tuple[int, int] | None:
    """(trial, seed) of the member whose networks a file of this name holds."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def members_name(trial: int) -> str:
    """Where the members of a trial in training are kept."""
    return f"{MEMBERS_FOLDER}/trial-{trial}.safetensors"


def trial_of(name: str) -> int | None:
    """The trial in training of which a file of this name is kept."""
    match = _TRIAL_NAME.fullmatch(name)
    return int(match[1]) if match else None
