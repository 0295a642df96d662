"""A sweep's directory or URI as tidy DataFrames, also while the sweep runs."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import fs

from analysis.parts import read_parts, to_frame
from analysis.schema import CONTROL, HISTORY, SAMPLES, TRIALS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Sweep", "load"]

_CONFIG = "sweep.toml"
_FOLDERS = ("trials", "history", "control", "samples")


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep has written so far; columns and their meaning: `analysis.schema`."""

    path: str
    """Directory or URI that it was read from."""
    config: dict[str, Any]
    """The resolved `sweep.toml`; empty where there is none yet."""
    trials: pd.DataFrame
    """One row per member that has ended, by (trial, seed)."""
    history: pd.DataFrame
    """One row per member and rung, by (trial, seed, rung), members still in training included."""
    control: pd.DataFrame
    """Scores of real images and of an untrained generator, by kind."""

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Sample grids, PNG-encoded, by (trial, seed, step). Read when first asked for."""
        filesystem, root = _locate(self.path)
        table = read_parts(filesystem, f"{root}/samples", SAMPLES)
        newest = _newest(*(_attempts(frame) for frame in (table, self.trials, self.history)))
        return to_frame(_last_attempt(_begun_last(table, newest), ("trial", "seed", "step")))


def load(path: str | os.PathLike[str]) -> Sweep:
    """Reads a sweep.

    A trial that was begun again has rows of several attempts. Of each member (and rung) the last
    attempt is kept; history of an older attempt than its trial's newest is dropped whole, since
    the rungs of a dead attempt beyond those of the living one never happened in it.

    Args:
        path: the sweep's directory `<storage>/<sweep>`, or its URI, such as
            `s3://bucket/prefix/<sweep>` (whatever `pyarrow.fs.FileSystem.from_uri` opens).

    Raises:
        FileNotFoundError: nothing is there, or it is no sweep.
        SchemaVersionError: a newer gansweep wrote it.
        ValueError: `sweep.toml` is not TOML, or the URI has an unknown scheme.
    """
    name = os.fspath(path)
    filesystem, root = _locate(name)
    _check_is_sweep(filesystem, root, name)
    config = _read_config(filesystem, f"{root}/{_CONFIG}")
    # Trials first: a member's history is written before its row of trials, so every row read
    # here finds its whole history there.
    trials = read_parts(filesystem, f"{root}/trials", TRIALS)
    history = read_parts(filesystem, f"{root}/history", HISTORY)
    control = read_parts(filesystem, f"{root}/control", CONTROL)
    newest = _newest(_attempts(trials), _attempts(history))
    history = _last_attempt(_begun_last(history, newest), ("trial", "seed", "rung"))
    return Sweep(
        path=name,
        config=config,
        trials=to_frame(_last_attempt(trials, ("trial", "seed"))),
        history=to_frame(history),
        control=_last_of_kind(to_frame(control)),
    )


def _locate(path: str) -> tuple[Any, str]:
    if "://" not in path:
        return fs.LocalFileSystem(), os.path.expanduser(path).rstrip("/") or "/"
    try:
        filesystem, root = fs.FileSystem.from_uri(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: {error}") from None
    return filesystem, root.rstrip("/")


def _check_is_sweep(filesystem: Any, root: str, name: str) -> None:
    contains = f"a sweep's directory contains {_CONFIG} and {', '.join(f'{f}/' for f in _FOLDERS)}"
    found = filesystem.get_file_info(root)
    if found.type == fs.FileType.NotFound:
        raise FileNotFoundError(f"{name}: no such directory; {contains}")
    if found.is_file:
        raise FileNotFoundError(f"{name}: is a file; {contains}")
    infos = filesystem.get_file_info([f"{root}/{part}" for part in (_CONFIG, *_FOLDERS)])
    if all(info.type == fs.FileType.NotFound for info in infos):
        raise FileNotFoundError(f"{name}: is no sweep; {contains}{_suggestion(filesystem, root)}")


def _suggestion(filesystem: Any, root: str) -> str:
    folders = [i for i in filesystem.get_file_info(fs.FileSelector(root)) if not i.is_file]
    configs = filesystem.get_file_info([f"{folder.path}/{_CONFIG}" for folder in folders])
    sweeps = sorted(f.base_name for f, c in zip(folders, configs, strict=True) if c.is_file)
    return f"; sweeps in it: {', '.join(sweeps)}" if sweeps else ""


def _read_config(filesystem: Any, path: str) -> dict[str, Any]:
    if filesystem.get_file_info(path).type == fs.FileType.NotFound:
        return {}
    with filesystem.open_input_stream(path) as stream:
        text = stream.read()
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # not TOML, or not UTF-8
        raise ValueError(f"{path}: {error}") from None


def _attempts(rows: pa.Table | pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return rows["trial"].to_numpy(), rows["attempt"].to_numpy()


def _newest(*tables: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The trials of all tables, sorted, and the newest attempt at each."""
    trials = np.concatenate([trial for trial, _ in tables])
    attempts = np.concatenate([attempt for _, attempt in tables])
    unique, position = np.unique(trials, return_inverse=True)
    newest = np.zeros(len(unique), dtype=attempts.dtype)
    np.maximum.at(newest, position, attempts)
    return unique, newest


def _begun_last(table: pa.Table, newest: tuple[np.ndarray, np.ndarray]) -> pa.Table:
    """The rows whose attempt is their trial's newest."""
    trial, attempt = _attempts(table)
    unique, last = newest
    return table.filter(pa.array(attempt == last[np.searchsorted(unique, trial)]))


def _last_attempt(table: pa.Table, keys: tuple[str, ...]) -> pa.Table:
    """Sorted by the keys, with the last attempt's row of each; of equals the last one read."""
    if not table.num_rows:
        return table
    columns = [table[key].to_numpy() for key in keys]
    order = np.lexsort([table["attempt"].to_numpy(), *reversed(columns)])
    changes = np.any([column[order][1:] != column[order][:-1] for column in columns], axis=0)
    return table.take(pa.array(order[np.append(changes, True)]))


def _last_of_kind(control: pd.DataFrame) -> pd.DataFrame:
    control = control.drop_duplicates("kind", keep="last").sort_values("kind")
    return control.reset_index(drop=True)
