"""Reads a folder of Parquet parts into one DataFrame, also while a sweep adds to it."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import fs

from analysis.columns import Column, Spares, column_for, to_frame
from analysis.fit import Fit, Fits, PartError, SchemaVersionError, check_keys, keys_with_nulls
from analysis.location import Location, on_one_line, plain_errors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Keys", "PartError", "SchemaVersionError", "Table", "read_table", "to_frame"]

# Seconds before each time that the folder is listed anew: compaction deletes parts one by one, and
# a storage far away takes long over many.
_PAUSES_S = (0.0, 0.1, 1.0, 5.0)

# Small parts are converted this many bytes at a time, so that numpy's share of the work is small
# beside arrow's; of larger ones so many rows at a time, so that little is in memory twice.
_BUNCH_BYTES = 4 << 20
_LARGE_BYTES = 16 << 20
_PIECE_ROWS = 1 << 15
# An object store takes tens of milliseconds to answer, whatever is asked.
_REMOTE_THREADS = 16
# Times the rows that are to be expected by the first parts' rows and the sizes of all.
_MARGIN = 1.25

Keys = dict[str, np.ndarray]
"""Columns by name, of all rows in the order of the parts' names."""

_Piece = tuple[pa.Table, frozenset[str], int]
"""Rows, the names of the columns that some came without, and how many the whole bunch has."""


@dataclass(frozen=True, eq=False)
class Table:
    """What a folder of parts holds."""

    frame: pd.DataFrame
    """The rows chosen; columns in the schema's order, dtypes by it alone (`analysis.columns`)."""
    lacking: tuple[str, ...]
    """Columns that some part was written without, by an older gansweep; null in its rows."""


def read_table(
    location: Location,
    folder: str,
    schema: pa.Schema,
    *,
    keys: Sequence[str],
    choose: Callable[[Keys], np.ndarray],
) -> Table:
    """Reads a folder of parts, then drops and sorts rows in place.

    Names that begin with a dot are parts still being written and are passed over. Columns that
    a part lacks are null, columns that the schema lacks are left out. A part that compaction
    deletes between listing and reading makes the folder be listed anew.

    Args:
        location: of the sweep.
        folder: in it; absent or empty gives no rows.
        schema: one of `analysis.schema`, or those of its fields that are wanted.
        keys: fields that `choose` looks at.
        choose: given these, the indices of the rows that are wanted, in the order wanted.

    Raises:
        SchemaVersionError: a part has a newer major version of the schema.
        PartError: a part is damaged, or a column has another type than the schema's.
        OSError: the storage does not give it (`analysis.location.plain_errors`).
    """
    for pause_s in _PAUSES_S:
        try:
            return _read_once(_Folder(location, folder, schema), keys, choose)
        except FileNotFoundError:
            time.sleep(pause_s)
    return _read_once(_Folder(location, folder, schema), keys, choose)


def _read_once(folder: _Folder, keys: Sequence[str], choose: Callable[[Keys], np.ndarray]) -> Table:
    columns: dict[str, Column] = {}
    lacking: set[str] = set()
    with ThreadPoolExecutor(folder.threads) as pool:
        for piece, lacks, expected_rows in folder.pieces(pool):
            columns = columns or _columns(folder.schema, expected_rows)
            for name, column in columns.items():
                column.append(piece[name])
            lacking |= lacks
        columns = columns or _columns(folder.schema, 0)
        found = {name: columns[name].so_far() for name in keys}
        order = choose(found)
        as_read = np.array_equal(order, np.arange(len(found[keys[0]])))
        frame = _finish(columns, None if as_read else order, pool, folder.threads)
    return Table(frame, tuple(name for name in folder.schema.names if name in lacking))


def _columns(schema: pa.Schema, expected_rows: int) -> dict[str, Column]:
    return {field.name: column_for(field, expected_rows) for field in schema}


def _finish(
    columns: dict[str, Column], order: np.ndarray | None, pool: ThreadPoolExecutor, threads: int
) -> pd.DataFrame:
    """These rows of the columns; each thread has one column's memory to spare for the next."""
    import pandas as pd  # half a second, which `import analysis` need not take

    def finish(names: list[str]) -> dict[str, Any]:
        spares: Spares = {}
        return {name: columns.pop(name).finish(order, spares) for name in names}

    names = list(columns)
    finished: dict[str, Any] = {}
    for some in pool.map(finish, [names[i::threads] for i in range(threads)]):
        finished |= some
    return pd.DataFrame({name: finished[name] for name in names}, copy=False)


@dataclass(frozen=True)
class _Part:
    path: str
    name: str
    """As it is shown."""
    size_bytes: int


class _Folder:
    """One table's parts."""

    def __init__(self, location: Location, folder: str, schema: pa.Schema) -> None:
        self.location, self.folder, self.schema = location, folder, schema
        self.fits = Fits(schema)
        self.is_local = isinstance(location.filesystem, fs.LocalFileSystem)
        self.threads = pa.cpu_count() if self.is_local else _REMOTE_THREADS

    def pieces(self, pool: ThreadPoolExecutor) -> Iterator[_Piece]:
        """All rows in order of the parts' names, with how many there may be in all."""
        parts = self._list()
        total_bytes = sum(part.size_bytes for part in parts)
        for bunch, pieces in _ahead(pool, self._read, _bunches(parts), self.threads):
            share = sum(part.size_bytes for part in bunch) / total_bytes
            for piece, lacks, rows in _one_ahead(pool, pieces):
                yield piece, lacks, int(_MARGIN * rows / share)

    def _list(self) -> list[_Part]:
        selector = fs.FileSelector(f"{self.location.root}/{self.folder}", allow_not_found=True)
        with plain_errors(self.location.name):
            listing = self.location.filesystem.get_file_info(selector)
        parts = [
            _Part(i.path, f"{self.location.name}/{self.folder}/{i.base_name}", max(i.size, 1))
            for i in listing
            if i.is_file and i.extension == "parquet" and not i.base_name.startswith(".")
        ]
        return sorted(parts, key=lambda part: part.path)

    def _read(self, bunch: list[_Part]) -> Iterable[_Piece]:
        """A bunch in one piece; a large one in many, read only as they are asked for."""
        if sum(part.size_bytes for part in bunch) > _LARGE_BYTES:
            return chain.from_iterable(map(self._stream, bunch))
        pieces = [self._whole(part) for part in bunch]
        joined = pa.concat_tables([piece for piece, _ in pieces])
        if keys_with_nulls(joined):
            for part, (piece, _) in zip(bunch, pieces, strict=True):
                check_keys(part.name, piece)
        return [(joined, frozenset[str]().union(*(lacks for _, lacks in pieces)), len(joined))]

    def _whole(self, part: _Part) -> tuple[pa.Table, frozenset[str]]:
        with self._open(part) as (file, fit):
            table = file.read(columns=fit.names, use_threads=False)
            return fit.conform(part.name, table), fit.lacking

    def _stream(self, part: _Part) -> Iterator[_Piece]:
        with self._open(part) as (file, fit):
            for batch in file.iter_batches(_PIECE_ROWS, columns=fit.names):
                piece = fit.conform(part.name, pa.Table.from_batches([batch]))
                check_keys(part.name, piece)
                yield piece, fit.lacking, file.metadata.num_rows

    @contextlib.contextmanager
    def _open(self, part: _Part) -> Iterator[tuple[Any, Fit]]:
        """A `pyarrow.parquet.ParquetFile` and its fit; errors while it is open name the part."""
        import pyarrow.parquet as pq

        try:
            with (
                plain_errors(part.name),
                self.location.filesystem.open_input_file(part.path) as stream,
                pq.ParquetFile(stream, pre_buffer=not self.is_local) as file,
            ):
                yield file, self.fits.of(part.name, file)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            if isinstance(error, OSError) and type(error) is not OSError:
                raise  # of the storage, and plain already
            raise PartError(
                f"{part.name}: is no whole Parquet file; remove it or copy it anew "
                f"({on_one_line(error)})"
            ) from None


def _bunches(parts: list[_Part]) -> Iterator[list[_Part]]:
    """Consecutive parts that are read at once."""
    bunch: list[_Part] = []
    for part in parts:
        if bunch and sum(each.size_bytes for each in bunch) + part.size_bytes > _BUNCH_BYTES:
            yield bunch
            bunch = []
        bunch.append(part)
    if bunch:
        yield bunch


def _ahead(
    pool: ThreadPoolExecutor,
    read: Callable[[list[_Part]], Iterable[_Piece]],
    bunches: Iterable[list[_Part]],
    count: int,
) -> Iterator[tuple[list[_Part], Iterable[_Piece]]]:
    """What is read of each bunch, in order; so many are read while one is worked at."""
    waiting: deque[tuple[list[_Part], Future[Iterable[_Piece]]]] = deque()
    for bunch in bunches:
        waiting.append((bunch, pool.submit(read, bunch)))
        if len(waiting) >= count:
            first, future = waiting.popleft()
            yield first, future.result()
    for bunch, future in waiting:
        yield bunch, future.result()


def _one_ahead(pool: ThreadPoolExecutor, pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """The pieces, each read while the one before it is worked at."""
    iterator = iter(pieces)
    future = pool.submit(next, iterator, None)
    while (piece := future.result()) is not None:
        future = pool.submit(next, iterator, None)
        yield piece
