"""The measurements as they are kept: one JSON, written anew after every measurement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["Key", "Record", "Results"]


@dataclass(frozen=True, kw_only=True)
class Key:
    """What was measured."""

    figure: str
    """"rates", "sweeps", "target" or "overhead": see `benchmarks.agenda.FIGURES`."""
    case: str
    contender: str
    variant: str = ""
    """Such as "K=32" or "reuse_actors"."""

    @property
    def label(self) -> str:
        """For a table."""
        return f"{self.contender} {self.variant}".strip()


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measurement, or why there is none."""

    key: Key
    session: int
    """Index of `Results.sessions`."""
    turn: int
    """The how manyth measurement of this key. Ratios are of measurements of the same turn, which
    were made one after the other."""
    values: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether nothing is wrong but that this machine has too little memory for it."""
        return self.error is not None and "memory" in self.error.lower()


@dataclass
class Results:
    """All that one file holds."""

    sessions: list[dict[str, Any]] = field(default_factory=list)
    """What `benchmarks.machine.describe` said of each run, and `load_before`, `load_after`."""
    records: list[Record] = field(default_factory=list)

    def of(self, key: Key) -> dict[int, dict[str, Any]]:
        """The values of one key by turn, failures left out."""
        return {
            record.turn: record.values
            for record in self.records
            if record.key == key and record.error is None
        }

    def keys(self, figure: str, case: str | None = None) -> list[Key]:
        """What was measured of a figure, in the order in which it first was."""
        found = (record.key for record in self.records if record.error is None)
        return list(
            dict.fromkeys(key for key in found if key.figure == figure and case in (None, key.case))
        )

    def failures(self) -> Iterator[Record]:
        """What could not be measured."""
        return (record for record in self.records if record.error is not None)

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        records = [json.dumps(asdict(record)) for record in self.records]
        sessions = json.dumps(self.sessions, indent=1)
        text = f'{{"sessions": {sessions},\n"records": [\n' + ",\n".join(records) + "\n]}\n"
        temporary.write_text(text)
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote.

        Raises:
            ValueError: it is no such file.
        """
        try:
            document = json.loads(path.read_text())
            records = [
                Record(**record | {"key": Key(**record["key"])}) for record in document["records"]
            ]
            return cls(document["sessions"], records)
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: not a file of results: {error}") from None
