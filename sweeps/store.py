"""Writes a sweep's results: Parquet parts that a reader sees whole or not at all."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import CONTROL, HISTORY, IMPORTANCES, SAMPLES, TRIALS
from sweeps.mistakes import SweepFailure
from sweeps.naming import CONFIG_NAME
from sweeps.weights import (
    MEMBERS_FOLDER,
    WEIGHTS_FOLDER,
    kept_trials,
    members_path,
    weights_path,
)

__all__ = ["StorageError", "Store", "TableName"]

_TEMPORARY = ".tmp"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class TableName(StrEnum):
    """The tables of a sweep; each is a folder of parts."""

    TRIALS = "trials"
    HISTORY = "history"
    SAMPLES = "samples"
    CONTROL = "control"
    IMPORTANCES = "importances"


_SCHEMAS = {
    TableName.TRIALS: TRIALS,
    TableName.HISTORY: HISTORY,
    TableName.SAMPLES: SAMPLES,
    TableName.CONTROL: CONTROL,
    TableName.IMPORTANCES: IMPORTANCES,
}


class StorageError(SweepFailure):
    """The results cannot be written; the message is one line that names the path."""


class Store:
    """The directory of one sweep: `<table>/<part>.parquet`, `sweep.toml` and members' networks.

    Every file is written whole under a name that begins with a dot, which Parquet readers skip,
    is synced, and only then renamed. So a reader at any moment, and after any crash, sees whole
    rows alone; and when a write returns, its rows outlive a power cut. A part is made in memory
    first: where there is no rename (object stores), `_put` is the one place to put it at once.

    Any number of processes may write at a time, each to part names of its own.

    Args:
        directory: The sweep's own directory; made at the first write.

    Raises:
        StorageError: `directory` is a URI.
    """

    def __init__(self, directory: Path | str) -> None:
        if "://" in str(directory):
            raise StorageError(f"{directory}: is a URI; results are written to local directories")
        self.directory = Path(directory)

    def write(
        self, table: TableName | str, rows: Sequence[Mapping[str, object]], part: str
    ) -> None:
        """Write one part of a table; no rows, no part.

        Writing a part again replaces it, so a repeated write (a retry after a lost answer) does
        not double its rows.

        NaN and inf become null, in lists too: null is "no finite value here", and `status`,
        `diverged_step` and `nonfinite_steps` say why. A null is skipped by every reader's mean
        and minimum, an inf would swallow them, and a reader need not tell NaN from null.

        Args:
            table: Which table.
            rows: Each a value for every column of the table, None for null.
            part: Name of the part without suffix, unlike every other writer's: letters, digits
                and `._-`, at most 200, beginning with a letter or digit.

        Raises:
            ValueError: The table is unknown, a row has not exactly the table's columns, a value
                does not fit its column, or `part` cannot be a name.
            StorageError: The part cannot be written; the table is as it was.
        """
        table = TableName(table)
        path = self._part_path(table, part)
        if rows:
            _put(path, _parquet(_as_table(rows, _SCHEMAS[table], table)))

    def parts(self, table: TableName) -> dict[str, int]:
        """The parts of a table that could be ours, by name their size in bytes.

        Raises:
            StorageError: They cannot be listed.
        """
        folder = self.directory / table
        with _storage_errors("list", folder):
            found = [path for path in folder.glob("*.parquet") if _PART.fullmatch(path.stem)]
            return {path.stem: path.stat().st_size for path in found}

    @staticmethod
    def schema(table: TableName) -> pa.Schema:
        """Of the parts that this version writes."""
        return _SCHEMAS[table]

    def read_schema(self, table: TableName, part: str) -> pa.Schema:
        """Of a part, as it was written.

        Raises:
            StorageError: It cannot be read.
        """
        path = self._part_path(table, part)
        with _storage_errors("read", path):
            return pq.read_schema(path)

    def read_part(self, table: TableName, part: str) -> pa.Table:
        """The rows of a part.

        Raises:
            StorageError: It cannot be read.
        """
        path = self._part_path(table, part)
        with _storage_errors("read", path), pq.ParquetFile(path) as file:
            return file.read()

    def put_part(self, table: TableName, rows: pa.Table, part: str) -> None:
        """Write rows that were read from parts as a part.

        Raises:
            StorageError: It cannot be written; the table is as it was.
        """
        _put(self._part_path(table, part), _parquet(rows))

    def drop_parts(self, table: TableName, parts: Iterable[str]) -> None:
        """Remove parts, those that are still there.

        Raises:
            StorageError: One cannot be removed.
        """
        for part in parts:
            path = self._part_path(table, part)
            with _storage_errors("remove", path):
                path.unlink(missing_ok=True)

    def _part_path(self, table: TableName, part: str) -> Path:
        if not _PART.fullmatch(part):
            raise ValueError(
                f"part = {part!r}: letters, digits and ._- only, at most 200, and the first a "
                "letter or digit"
            )
        return self.directory / table / f"{part}.parquet"

    def write_config(self, text: str) -> None:
        """Write the sweep's resolved config, `sweep.toml`, in place of what was there.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        _put(self.directory / CONFIG_NAME, text.encode())

    def write_weights(self, trial: int, seed: int, content: bytes) -> None:
        """Write a member's networks in place of what an earlier attempt at its trial left.

        Args:
            trial: The member's.
            seed: Likewise.
            content: From `gan_core.export.member_bytes`.

        Raises:
            StorageError: They cannot be written; what was there still is.
        """
        _put(weights_path(self.directory, trial, seed), content)

    def write_members(self, trial: int, content: bytes) -> None:
        """Write a trial in training in place of what was kept of it before.

        Args:
            trial: Its number.
            content: From `sweeps.held.kept_bytes`.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        _put(members_path(self.directory, trial), content)

    def read_members(self, trial: int) -> bytes | None:
        """A trial in training as it was kept last, None if it was not.

        Raises:
            StorageError: It is there and cannot be read.
        """
        path = members_path(self.directory, trial)
        with _storage_errors("read", path), contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        return None

    def drop_members(self, trials: Iterable[int]) -> None:
        """Remove what was kept of trials that ended, if anything was.

        Raises:
            StorageError: It cannot be removed.
        """
        for trial in trials:
            path = members_path(self.directory, trial)
            with _storage_errors("remove", path):
                path.unlink(missing_ok=True)

    def kept_trials(self) -> set[int]:
        """Trials of which something is kept."""
        return kept_trials(self.directory)

    def forget_members(self) -> None:
        """Remove all that was kept of trials in training, if it can be: the sweep is done."""
        shutil.rmtree(self.directory / MEMBERS_FOLDER, ignore_errors=True)

    def clean(self) -> None:
        """Remove what killed writers left half-written; call it before writers start.

        Raises:
            StorageError: A leftover cannot be removed.
        """
        inner = (self.directory / name for name in (*TableName, WEIGHTS_FOLDER, MEMBERS_FOLDER))
        for folder in (self.directory, *inner):
            for leftover in folder.glob(f".*{_TEMPORARY}"):
                with _storage_errors("remove", leftover):
                    leftover.unlink(missing_ok=True)


def _as_table(
    rows: Sequence[Mapping[str, object]], schema: pa.Schema, table: TableName
) -> pa.Table:
    """Types come from the schema alone."""
    for row in rows:
        _check_columns(row, schema, table)
    columns = [_column([row[field.name] for row in rows], field, table) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _parquet(rows: pa.Table) -> memoryview:
    """The bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return memoryview(sink.getvalue())


def _check_columns(row: Mapping[str, object], schema: pa.Schema, table: TableName) -> None:
    missing = [name for name in schema.names if name not in row]
    unknown = [name for name in row if name not in schema.names]
    if missing or unknown:
        raise ValueError(
            f"{table}: a row needs exactly the table's columns; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )


def _column(values: list[Any], field: pa.Field, table: TableName) -> pa.Array:
    # pyarrow would cut 1.5 to 1 in silence.
    convert = _integer if pa.types.is_integer(field.type) else _finite
    try:
        return pa.array([convert(value) for value in values], field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{table}.{field.name}: not {field.type}: {error}") from error


def _integer(value: Any) -> int | None:
    return None if value is None else operator.index(value)


def _finite(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        return value
    return value if math.isfinite(value) else None


def _put(path: Path, content: bytes | memoryview) -> None:
    """Make `path` a file of `content`, at once and durably.

    Raises:
        StorageError: It cannot be; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    with _storage_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _storage_errors(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot {verb} {path}: {error.strerror or error}") from error
    except pa.ArrowInvalid as error:  # no Parquet, or damaged
        raise StorageError(f"cannot {verb} {path}: {' '.join(str(error).split())}") from error
