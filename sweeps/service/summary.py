"""How far a sweep is, from a few columns of what it has written. Free of pandas.

A part of a table never changes, so of a sweep that runs only the new ones are read.
"""

from __future__ import annotations

import contextlib
import os
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gan_core.config import ConfigError
from sweeps.naming import CONFIG_NAME
from sweeps.objective import direction
from sweeps.service.states import Counts

__all__ = ["DamagedSweep", "Facts", "Progress", "Summariser", "read_facts"]

_ENDS = ("failed", "pruned", "diverged", "complete")
_TRIALS = {"trial": np.int64, "attempt": np.int64, "status": np.int8, "trial_objective": np.float64}
_HISTORY = {"trial": np.int64, "attempt": np.int64, "step": np.int64}
_LISTINGS, _PAUSE_S = 10, 0.05


class DamagedSweep(Exception):  # noqa: N818 a state of its files
    """Files of a sweep that cannot be read; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What its config says of a sweep, whatever version wrote it."""

    dataset: str = ""
    architecture: str = ""
    objective: str = ""
    greater_is_better: bool = False
    trials: int = 0
    steps: int = 0
    allowed_diverged_share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far it is."""

    counts: Counts = field(default_factory=Counts)
    in_training: int = 0
    training_steps: int = 0
    best_trial: int | None = None
    best_value: float | None = None


def read_facts(directory: Path) -> Facts:
    """Of the sweep in a directory.

    Raises:
        DamagedSweep: its config cannot be read.
    """
    try:
        with (directory / CONFIG_NAME).open("rb") as file:
            document = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise DamagedSweep(f"{CONFIG_NAME}: {' '.join(str(error).split())}") from None
    objective = str(_value(document, "search", "objective", ""))
    try:
        greater = direction(objective).value == "maximize"
    except (ConfigError, ValueError):
        greater = False  # of a newer version
    return Facts(
        dataset=str(_value(document, "data", "dataset", "")),
        architecture=str(_value(document, "model", "architecture", "")),
        objective=objective,
        greater_is_better=greater,
        trials=int(_value(document, "search", "trials", 0)),
        steps=int(_value(document, "train", "steps", 0)),
        allowed_diverged_share=float(_value(document, "search", "allowed_diverged_share", 0.0)),
    )


def _value(document: Mapping[str, Any], section: str, key: str, default: Any) -> Any:
    table = document.get(section)
    value = table.get(key, default) if isinstance(table, dict) else default
    return value if isinstance(value, type(default) | int) else default


@dataclass
class Summariser:
    """Reads the progress of one sweep, again and again.

    Of what was read it remembers some fifty bytes for each GAN, and the names of the parts.

    Args:
        directory: the sweep's.
    """

    directory: Path

    def __post_init__(self) -> None:
        self._trials = _Parts(self.directory / "trials", _TRIALS)
        self._history = _Parts(self.directory / "history", _HISTORY)

    def progress(self, facts: Facts, *, is_running: bool) -> Progress:
        """As its parts have it now.

        Args:
            facts: of its config.
            is_running: whether to look for trials in training, and to remember what was read.

        Raises:
            DamagedSweep: a part cannot be read.
        """
        # Trials first, as in `analysis.load`: the history of what has ended is there by then.
        self._trials.update()
        trials = self._trials.rows
        counts, best = _ended(trials, facts)
        in_training = steps = 0
        if counts.ended < facts.trials:
            self._history.update()
            self._history.rows = last = _last_rungs(self._history.rows)
            is_begun = ~np.isin(last["trial"], trials["trial"])
            in_training, steps = is_begun.sum(), last["step"][is_begun].sum()
        if not is_running:
            self._trials.forget()
            self._history.forget()
        return Progress(
            counts=counts,
            in_training=int(in_training),
            training_steps=int(steps),
            best_trial=best[0] if best else None,
            best_value=best[1] if best else None,
        )


class _Parts:
    """A table as far as its parts have been read.

    Args:
        folder: of the parts.
        columns: with how a value of each is kept.
    """

    def __init__(self, folder: Path, columns: Mapping[str, type]) -> None:
        self._folder, self._columns = folder, columns
        self.forget()

    def forget(self) -> None:
        """All that was read."""
        self._stamps: dict[str, int] = {}
        self.rows: dict[str, np.ndarray] = {
            name: np.empty(0, kind) for name, kind in self._columns.items()
        }
        """Of all parts, by column; whoever owns this may replace them by fewer."""

    def update(self) -> None:
        """Adds the rows of new parts; begins anew where parts have gone or changed.

        Parts that go between the listing and the reading were compacted: then it is listed again.

        Raises:
            DamagedSweep: a part cannot be read, or they go faster than they can be.
        """
        for _ in range(_LISTINGS):
            with contextlib.suppress(FileNotFoundError):
                return self._add_new()
            time.sleep(_PAUSE_S)
        raise DamagedSweep(f"{self._folder.name}: parts go faster than they can be read")

    def _add_new(self) -> None:
        found = self._listed()
        if any(found.get(name) != stamp for name, stamp in self._stamps.items()):
            self.forget()
        new = [self._read(name) for name in sorted(found.keys() - self._stamps.keys())]
        for name in self._columns if new else ():
            self.rows[name] = np.concatenate([self.rows[name], *(part[name] for part in new)])
        self._stamps = found

    def _listed(self) -> dict[str, int]:
        """When each part was changed, by its name."""
        if not self._folder.exists():
            return {}
        with os.scandir(self._folder) as entries:
            return {
                entry.name: entry.stat().st_mtime_ns
                for entry in entries
                if entry.name.endswith(".parquet") and not entry.name.startswith(".")
            }

    def _read(self, name: str) -> dict[str, np.ndarray]:
        try:
            with pq.ParquetFile(self._folder / name) as file:
                table = file.read(columns=list(self._columns), use_threads=False)
            if missing := self._columns.keys() - set(table.column_names):
                raise pa.ArrowInvalid(f"has no column {min(missing)}")
            return {
                column: _codes(values) if column == "status" else values.to_numpy()
                for column, values in zip(table.column_names, table.columns, strict=True)
            }
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise DamagedSweep(f"{self._folder.name}/{name}: {reason}") from None


def _codes(statuses: pa.ChunkedArray) -> np.ndarray:
    """The place of each in `_ENDS`; that of complete, too, for what a newer version may write."""
    places = pc.index_in(statuses, pa.array(_ENDS))
    return pc.fill_null(places, _ENDS.index("complete")).to_numpy().astype(np.int8)


def _ended(rows: Mapping[str, np.ndarray], facts: Facts) -> tuple[Counts, tuple[int, float] | None]:
    """How trials ended, and the best of the complete ones, by their last attempts."""
    trials, place = np.unique(rows["trial"], return_inverse=True)
    if not len(trials):
        return Counts(), None
    is_last = rows["attempt"] == _largest(rows["attempt"], place)[place]
    place, statuses = place[is_last], rows["status"][is_last]
    members = {
        end: np.bincount(place[statuses == code], minlength=len(trials))
        for code, end in enumerate(_ENDS)
    }
    share = members["diverged"] / np.bincount(place)
    is_diverged = (share == 1) | (share > facts.allowed_diverged_share)
    ends = np.select(
        [members["failed"] > 0, members["pruned"] > 0, is_diverged],
        ["failed", "pruned", "diverged"],
        "complete",
    )
    counts = Counts(**{end: int((ends == end).sum()) for end in Counts.model_fields})
    values = np.empty(len(trials))
    values[place] = rows["trial_objective"][is_last]
    sound = np.flatnonzero((ends == "complete") & np.isfinite(values))
    if not len(sound):
        return counts, None
    best = sound[np.argmin(-values[sound] if facts.greater_is_better else values[sound])]
    return counts, (int(trials[best]), float(values[best]))


def _last_rungs(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One row for each trial: the last step of its last attempt."""
    trials, place = np.unique(rows["trial"], return_inverse=True)
    attempts = _largest(rows["attempt"], place)
    steps = np.where(rows["attempt"] == attempts[place], rows["step"], 0)
    return {"trial": trials, "attempt": attempts, "step": _largest(steps, place)}


def _largest(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Of those that go to each place; they are not negative."""
    largest = np.zeros(place.max(initial=-1) + 1, values.dtype)
    np.maximum.at(largest, place, values)
    return largest
