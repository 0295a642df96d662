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
import pyarrow.parquet as pq

from gan_core.config import ConfigError
from sweeps.naming import CONFIG_NAME
from sweeps.objective import direction
from sweeps.service.states import Counts

__all__ = ["DamagedSweep", "Facts", "Progress", "Summariser", "read_facts"]

_TRIALS = ("trial", "attempt", "status", "trial_objective")
_HISTORY = ("trial", "attempt", "step")
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

    Args:
        directory: the sweep's.
    """

    directory: Path
    _trials: dict[str, tuple[int, pa.Table]] = field(default_factory=dict)
    _history: dict[str, tuple[int, pa.Table]] = field(default_factory=dict)

    def progress(self, facts: Facts, *, is_running: bool) -> Progress:
        """As its parts have it now.

        Args:
            facts: of its config.
            is_running: whether to look for trials in training, and to remember what was read.

        Raises:
            DamagedSweep: a part cannot be read.
        """
        # Trials first, as in `analysis.load`: the history of what has ended is there by then.
        trials = _read(self.directory / "trials", _TRIALS, self._trials)
        counts, best = _ended(trials, facts)
        in_training = steps = 0
        if counts.ended < facts.trials:
            history = _read(self.directory / "history", _HISTORY, self._history)
            in_training, steps = _training(trials, history)
        if not is_running:
            self._trials.clear()
            self._history.clear()
        return Progress(
            counts=counts,
            in_training=in_training,
            training_steps=steps,
            best_trial=best[0] if best else None,
            best_value=best[1] if best else None,
        )


def _read(folder: Path, columns: tuple[str, ...], known: dict[str, tuple[int, pa.Table]]) -> Any:
    """These columns of all parts, as numpy arrays by name; `known` is brought up to date.

    Parts that go between the listing and the reading were compacted: then it is listed again.
    """
    for _ in range(_LISTINGS):
        with contextlib.suppress(FileNotFoundError):
            _update(folder, columns, known)
            break
        time.sleep(_PAUSE_S)
    else:
        raise DamagedSweep(f"{folder.name}: parts go faster than they can be read")
    if not known:
        return {name: np.array([]) for name in columns}
    whole = pa.concat_tables([known[name][1] for name in sorted(known)])
    return {name: whole[name].to_numpy() for name in columns}


def _update(folder: Path, columns: tuple[str, ...], known: dict[str, tuple[int, pa.Table]]) -> None:
    """Reads the parts that are new.

    Raises:
        FileNotFoundError: one has gone meanwhile.
    """
    if not folder.exists():
        known.clear()
        return
    with os.scandir(folder) as entries:
        parts = [e for e in entries if e.name.endswith(".parquet") and not e.name.startswith(".")]
    found = {entry.name: entry.stat().st_mtime_ns for entry in parts}
    for name in known.keys() - found.keys():
        del known[name]
    for name, stamp in found.items():
        if name not in known or known[name][0] != stamp:
            try:
                known[name] = (stamp, _part(folder / name, columns))
            except FileNotFoundError:
                raise
            except (OSError, pa.ArrowException) as error:
                reason = " ".join(str(error).split())
                raise DamagedSweep(f"{folder.name}/{name}: {reason}") from None


def _part(path: Path, columns: tuple[str, ...]) -> pa.Table:
    table = pq.read_table(path, columns=list(columns), use_threads=False, partitioning=None)
    if missing := [name for name in columns if name not in table.column_names]:
        raise pa.ArrowInvalid(f"has no column {missing[0]}")
    return table.replace_schema_metadata(None)


def _ended(rows: Mapping[str, np.ndarray], facts: Facts) -> tuple[Counts, tuple[int, float] | None]:
    """How trials ended, and the best of the complete ones."""
    last: dict[int, int] = {}
    for trial, attempt in zip(rows["trial"], rows["attempt"], strict=True):
        last[int(trial)] = max(int(attempt), last.get(int(trial), 0))
    members: dict[int, list[str]] = {}
    values: dict[int, float] = {}
    for trial, attempt, status, value in zip(*(rows[name] for name in _TRIALS), strict=True):
        if attempt == last[trial]:
            members.setdefault(int(trial), []).append(str(status))
            values[int(trial)] = np.nan if value is None else float(value)
    outcomes = {trial: _outcome(each, facts) for trial, each in members.items()}
    sign = -1 if facts.greater_is_better else 1
    sound = [
        (sign * values[trial], trial)
        for trial, outcome in outcomes.items()
        if outcome == "complete" and np.isfinite(values[trial])
    ]
    best = min(sound, default=None)
    named = list(outcomes.values())
    counts = Counts(**{name: named.count(name) for name in Counts.model_fields})
    return counts, None if best is None else (best[1], sign * best[0])


def _outcome(statuses: list[str], facts: Facts) -> str:
    """Of a trial, by those of its members."""
    for name in ("failed", "pruned"):
        if name in statuses:
            return name
    share = statuses.count("diverged") / len(statuses)
    return "diverged" if share == 1 or share > facts.allowed_diverged_share else "complete"


def _training(
    trials: Mapping[str, np.ndarray], history: Mapping[str, np.ndarray]
) -> tuple[int, int]:
    """Trials begun and not ended, and the steps that these have made in their last attempts."""
    begun = ~np.isin(history["trial"], trials["trial"])
    numbers, place = np.unique(history["trial"][begun], return_inverse=True)
    if not len(numbers):
        return 0, 0
    attempts = history["attempt"][begun]
    last = np.zeros(len(numbers), dtype=attempts.dtype)
    np.maximum.at(last, place, attempts)
    steps = np.where(attempts == last[place], history["step"][begun], 0)
    made = np.zeros(len(numbers), dtype=np.int64)
    np.maximum.at(made, place, steps)
    return len(numbers), int(made.sum())
