"""A sweep's directory or URI as tidy DataFrames, also while the sweep runs."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
from pyarrow import fs

from analysis.attempts import Newest, last_attempts
from analysis.location import Location, locate, plain_errors
from analysis.parts import Keys, read_table
from analysis.schema import CONTROL, HISTORY, TRIALS
from analysis.sweep import Sweep, Sweeps, side_by_side

__all__ = ["Sweep", "Sweeps", "load"]

_CONFIG = "sweep.toml"
_FOLDERS = ("trials", "history", "control", "samples")

_Paths = Sequence[os.PathLike[str]] | list[str] | tuple[str, ...]

# Without these a row of history says nothing.
_ALWAYS = ("sweep", "trial", "seed", "attempt", "rung", "step")


@overload
def load(path: str | os.PathLike[str], *, columns: Sequence[str] | None = None) -> Sweep: ...


@overload
def load(path: _Paths, *, columns: Sequence[str] | None = None) -> Sweeps: ...


def load(
    path: str | os.PathLike[str] | _Paths, *, columns: Sequence[str] | None = None
) -> Sweep | Sweeps:
    """Reads a sweep, or several to look at side by side.

    Of a trial that was begun again the last attempt counts (`analysis.attempts`). What an older
    gansweep wrote is read too: columns that it did not know are null, and `lacking` names them.

    Args:
        path: the sweep's directory `<storage>/<sweep>`, or its URI, such as
            `s3://bucket/prefix/<sweep>` (see `analysis.location.locate` for credentials and
            endpoints), or several of them.
        columns: of `history`, the one table that grows large, beside `sweep`, `trial`, `seed`,
            `attempt`, `rung` and `step`, which are always read; all where None. What is left out
            costs neither time nor memory, and what needs it, as the verdicts need all, says so.

    Raises:
        FileNotFoundError: nothing is there, or it is no sweep.
        PermissionError, ConnectionError: the storage refuses to answer, or does not answer.
        analysis.parts.SchemaVersionError: a newer gansweep wrote it.
        analysis.parts.PartError: one of its files is damaged.
        ValueError: `columns` has a name that history has not, `sweep.toml` is not TOML, the URI
            has an unknown scheme, or a sweep is named twice.
    """
    schema = _history_schema(columns)
    if isinstance(path, str | os.PathLike):
        return _load_one(path, schema)
    return side_by_side([_load_one(each, schema) for each in path])


def _load_one(path: str | os.PathLike[str], history_schema: pa.Schema) -> Sweep:
    location = locate(path)
    with plain_errors(location.name):
        _check_is_sweep(location)
        config = _read_config(location)
    # Trials first: a member's history is written before its row of trials, so every row read
    # here finds its whole history there.
    trials = read_table(
        location, "trials", TRIALS, keys=("trial", "seed", "attempt"), choose=_last_of_member
    )

    def last_of_rung(keys: Keys) -> np.ndarray:
        return last_attempts(keys, ("trial", "seed", "rung"), Newest(keys, trials.frame))

    keys = ("trial", "seed", "rung", "attempt")
    history = read_table(location, "history", history_schema, keys=keys, choose=last_of_rung)
    control = read_table(location, "control", CONTROL, keys=("kind",), choose=_last_of_kind)
    tables = {"trials": trials, "history": history, "control": control}
    return Sweep(
        path=location.name,
        config=config,
        **{name: table.frame for name, table in tables.items()},
        lacking={name: table.lacking for name, table in tables.items() if table.lacking},
        location=location,
        selected=None if history_schema is HISTORY else frozenset(history_schema.names),
    )


def _history_schema(columns: Sequence[str] | None) -> pa.Schema:
    """The fields of history that are wanted, in its own order."""
    if columns is None:
        return HISTORY
    if isinstance(columns, str):
        raise ValueError(f'columns = "{columns}": must be several, such as ["{columns}"]')
    for name in columns:
        if name not in HISTORY.names:
            close = difflib.get_close_matches(name, HISTORY.names) or HISTORY.names
            raise ValueError(f'columns: history has no "{name}"; it has {", ".join(close)}')
    return pa.schema([each for each in HISTORY if each.name in (*_ALWAYS, *columns)])


def _check_is_sweep(location: Location) -> None:
    contains = f"a sweep's directory contains {_CONFIG} and {', '.join(f'{f}/' for f in _FOLDERS)}"
    if missing := location.missing():
        raise FileNotFoundError(f"{location.name}: {missing}; {contains}")
    filesystem, root = location.filesystem, location.root
    if filesystem.get_file_info(root).is_file:
        raise FileNotFoundError(f"{location.name}: is a file; {contains}")
    infos = filesystem.get_file_info([f"{root}/{part}" for part in (_CONFIG, *_FOLDERS)])
    if all(info.type == fs.FileType.NotFound for info in infos):
        raise FileNotFoundError(
            f"{location.name}: is no sweep; {contains}{_suggestion(filesystem, root)}"
        )


def _suggestion(filesystem: Any, root: str) -> str:
    folders = [i for i in filesystem.get_file_info(fs.FileSelector(root)) if not i.is_file]
    configs = filesystem.get_file_info([f"{folder.path}/{_CONFIG}" for folder in folders])
    sweeps = sorted(f.base_name for f, c in zip(folders, configs, strict=True) if c.is_file)
    return f"; sweeps in it: {', '.join(sweeps)}" if sweeps else ""


def _read_config(location: Location) -> dict[str, Any]:
    filesystem, path = location.filesystem, f"{location.root}/{_CONFIG}"
    if filesystem.get_file_info(path).type == fs.FileType.NotFound:
        return {}
    with filesystem.open_input_stream(path) as stream:
        text = stream.read()
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # not TOML, or not UTF-8
        raise ValueError(f"{location.name}/{_CONFIG}: {error}") from None


def _last_of_member(keys: Keys) -> np.ndarray:
    return last_attempts(keys, ("trial", "seed"))


def _last_of_kind(keys: Keys) -> np.ndarray:
    kinds = keys["kind"].astype(str)
    last = {kind: index for index, kind in enumerate(kinds)}
    return np.array([last[kind] for kind in sorted(last)], dtype=int)
