"""A trial in training, and what it is kept as so that any worker can go on with it.

Its members' parameters, moments and counters are `gan_core.member_state`'s; what the worker knows
of them, and the rows that it wrote so far, travel in the note beside them. Whoever goes on does so
under a new attempt and writes those rows again as that attempt's: of a trial only the newest
attempt's rows count, so they are whole, and each is there once.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.schema import HISTORY
from gan_core.cohort import Cohort, Member
from gan_core.config import GanConfig
from gan_core.member_state import admit_members, member_note, members_bytes
from sweeps.protocol import Assignment
from sweeps.rows import Progress
from sweeps.seal import BLANK, is_whole, sealed

__all__ = ["HeldTrial", "gan_config", "kept_bytes", "take_up"]

_FORMAT = 2  # one more whenever a reader of today could not read what is written


@dataclass(eq=False)
class HeldTrial:
    """A trial in training: its seeds were admitted together and end together."""

    assignment: Assignment
    seeds: list[tuple[Progress, Member]]
    """The members that have diverged may have left the cohort."""
    began: float = field(default_factory=time.monotonic)
    """When it was admitted, earlier by what it trained in other attempts."""
    value: float | None = None
    """The objective over the seeds at the last rung."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the seeds that have left."""
    _history: list[list[Any]] = field(default_factory=list)

    @property
    def diverged(self) -> int:
        """How many of its seeds did."""
        return sum(seed.diverged for seed, _ in self.seeds)

    @property
    def rung(self) -> int:
        """That its longest-lived seed has reached."""
        return max(seed.rung for seed, _ in self.seeds)

    @property
    def seconds(self) -> float:
        """In training, over all attempts that it was continued through."""
        return time.monotonic() - self.began

    def remember(self, row: dict[str, Any]) -> None:
        """Adds a row to its history."""
        self._history.append([row[name] for name in HISTORY.names])

    def history(self) -> list[dict[str, Any]]:
        """All rows so far, as this attempt's."""
        return [self._as_own(zip(HISTORY.names, row, strict=True)) for row in self._history]

    def own_samples(self) -> list[dict[str, Any]]:
        """Rows of the seeds that have left, as this attempt's."""
        return [self._as_own(row) for row in self.samples]

    def _as_own(self, row: Any) -> dict[str, Any]:
        return {**dict(row), "attempt": self.assignment.attempt}


def gan_config(assignment: Assignment, seed: int) -> GanConfig:
    """One member of the trial."""
    values: dict[str, Any] = assignment.hyperparameters
    return GanConfig(**values, seed=seed)


def kept_bytes(cohort: Cohort, held: HeldTrial) -> bytes:
    """All that is needed to go on with the trial, as one safetensors file.

    Args:
        cohort: where its members stand, between two intervals.
        held: the trial.
    """
    standing = [member in cohort.members for _, member in held.seeds]
    note = {
        "digest": BLANK,
        "format": _FORMAT,
        "hyperparameters": held.assignment.hyperparameters,
        "seeds": held.assignment.seeds,
        "standing": standing,
        "progress": [dataclasses.asdict(seed) for seed, _ in held.seeds],
        "value": held.value,
        "seconds": held.seconds,
        "columns": HISTORY.names,
        "history": held._history,
        "samples": [row | {"png": _text(row["png"])} for row in held.samples],
    }
    members = [m for (_, m), stands in zip(held.seeds, standing, strict=True) if stands]
    return sealed(members_bytes(cohort, members, note=json.dumps(note)))


def take_up(cohort: Cohort, data: bytes, assignment: Assignment) -> HeldTrial | None:
    """Puts a trial that was kept back into a cohort.

    Args:
        cohort: with free slots for the trial's seeds.
        data: from `kept_bytes`. Nothing in it is executed.
        assignment: of the trial, now.

    Returns:
        The trial as it was; None if the file is of another trial, hyperparameters, seeds or
        networks, or cannot be understood, or a byte of it has changed, and then the cohort is as
        it was.
    """
    if not is_whole(data):
        return None
    before = cohort.members
    try:
        note = json.loads(member_note(data))
        if not _is_of(note, assignment):
            return None
        return _restored(note, assignment, admit_members(cohort, data))
    except (KeyError, TypeError, ValueError):  # cut short, or another version's
        cohort.evict([member for member in cohort.members if member not in before])
        return None


def _is_of(note: dict[str, Any], assignment: Assignment) -> bool:
    return (
        note["format"] == _FORMAT
        and note["hyperparameters"] == assignment.hyperparameters
        and tuple(note["seeds"]) == tuple(assignment.seeds)
    )


def _restored(note: dict[str, Any], assignment: Assignment, members: Sequence[Member]) -> HeldTrial:
    standing = iter(members)
    seeds = []
    for number, values, stands in zip(
        assignment.seeds, note["progress"], note["standing"], strict=True
    ):
        progress = Progress(**{**values, "trial": assignment.trial, "attempt": assignment.attempt})
        # One that has left its slot is only a name by now.
        gone = Member(gan_config(assignment, number), {}, {})
        seeds.append((progress, next(standing) if stands else gone))
    rows = (dict(zip(note["columns"], row, strict=True)) for row in note["history"])
    return HeldTrial(
        assignment=assignment,
        seeds=seeds,
        began=time.monotonic() - note["seconds"],
        value=note["value"],
        samples=[row | {"png": base64.b64decode(row["png"])} for row in note["samples"]],
        # Columns that the version which kept it did not have are null.
        _history=[[row.get(name) for name in HISTORY.names] for row in rows],
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
