"""Columns of a DataFrame that grow as parts are read, so that nothing is in memory twice.

Dtypes depend on the schema alone, never on whether a null happens to be in a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NEVER_NULL", "Column", "Spares", "column_for", "to_frame"]

NEVER_NULL = ("trial", "seed", "attempt", "rung", "step")
"""Whole numbers that every row has. The others may be null, so they are pandas' nullable integers
always."""

_LARGEST_OFFSET = 2**31 - 1

Spares = dict[np.dtype, np.ndarray]
"""Memory at hand, by dtype: fresh memory costs more than what is written to it."""


class Column(Protocol):
    """A column that grows at its end until it is finished."""

    def append(self, values: pa.ChunkedArray) -> None:
        """Adds rows."""

    def so_far(self) -> np.ndarray:
        """The values of all rows in numpy, where a row needs one."""

    def finish(self, order: np.ndarray | None, spares: Spares) -> Any:
        """These rows in this order, all where it is None, as pandas takes them."""


def column_for(field: pa.Field, expected_rows: int) -> Column:
    """An empty column for values of the field's type; more rows than expected cost a copy."""
    kind = field.type
    if field.name in NEVER_NULL:
        return _Keys(_Growing(kind.to_pandas_dtype(), expected_rows))
    if pa.types.is_integer(kind):
        return _Integers(
            _Growing(kind.to_pandas_dtype(), expected_rows), _Growing(bool, expected_rows)
        )
    if pa.types.is_floating(kind):
        return _Floats(_Growing(kind.to_pandas_dtype(), expected_rows))
    if pa.types.is_list(kind) and pa.types.is_floating(kind.value_type):
        return _Lists(kind, expected_rows)
    return _Others(kind)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """The table in pandas, with dtypes that depend on its schema alone.

    Keys are plain integers, other integers pandas' nullable ones. A null number (it does not
    apply) and NaN (measured, not finite) are both NaN. Lists of numbers are `pandas.ArrowDtype`:
    an element is a list or `pandas.NA`, and `series.list` works on all of them. Lists of text are
    numpy arrays or None.
    """
    import pandas as pd  # half a second, which `import analysis` need not take

    columns = {}
    for field, values in zip(table.schema, table.columns, strict=True):
        column = column_for(field, len(table))
        column.append(values)
        columns[field.name] = column.finish(None, {})
    return pd.DataFrame(columns, copy=False)


class _Growing:
    """A numpy array that grows at its end. Memory that is not written to costs nothing."""

    def __init__(self, dtype: Any, expected_rows: int, width: int | None = None) -> None:
        shape = (expected_rows,) if width is None else (expected_rows, width)
        self.memory = np.empty(shape, dtype)
        self.rows = 0

    @property
    def values(self) -> np.ndarray:
        return self.memory[: self.rows]

    def append(self, values: Any, count: int) -> None:
        """Adds `count` rows: as many values, or one for all of them."""
        end = self.rows + count
        if end > len(self.memory):
            memory = np.empty((end + end // 2, *self.memory.shape[1:]), self.memory.dtype)
            memory[: self.rows] = self.values
            self.memory = memory
        self.memory[self.rows : end] = values
        self.rows = end

    def in_order(self, order: np.ndarray | None, spares: Spares) -> np.ndarray:
        """The values at these places, in memory that is spare; afterwards its own is."""
        if order is None:
            return self.values
        spare = spares.pop(self.memory.dtype, self.memory[:0])
        if len(spare) < len(order):
            spare = np.empty(len(order), self.memory.dtype)
        result = np.take(self.values, order, out=spare[: len(order)], mode="clip")
        spares[self.memory.dtype] = self.memory
        self.memory = spare
        return result


class _Keys:
    """Integers without nulls."""

    def __init__(self, numbers: _Growing) -> None:
        self.numbers = numbers

    def append(self, values: pa.ChunkedArray) -> None:
        self.numbers.append(values.to_numpy(), len(values))

    def so_far(self) -> np.ndarray:
        return self.numbers.values

    def finish(self, order: np.ndarray | None, spares: Spares) -> np.ndarray:
        return self.numbers.in_order(order, spares)


class _Floats(_Keys):
    """Numbers of which any may be null, which is NaN."""

    def append(self, values: pa.ChunkedArray) -> None:
        known = values.null_count < len(values)
        self.numbers.append(values.to_numpy() if known else np.nan, len(values))


class _Integers:
    """Integers of which any may be null."""

    def __init__(self, numbers: _Growing, is_null: _Growing) -> None:
        self.numbers, self.is_null = numbers, is_null

    def append(self, values: pa.ChunkedArray) -> None:
        is_null = values.is_null().to_numpy() if values.null_count else False
        self.is_null.append(is_null, len(values))
        values = pc.fill_null(values, 0) if values.null_count else values
        self.numbers.append(values.to_numpy(), len(values))

    def so_far(self) -> np.ndarray:
        return np.where(self.is_null.values, np.nan, self.numbers.values)

    def finish(self, order: np.ndarray | None, spares: Spares) -> Any:
        import pandas as pd

        numbers = self.numbers.in_order(order, spares)
        return pd.arrays.IntegerArray(numbers, self.is_null.in_order(order, spares))


class _Lists:
    """Lists of floats, nearly always of one length: the classes of a dataset.

    They are kept as one block [rows, greatest length], which arrow can take over as it is.
    """

    def __init__(self, kind: pa.DataType, expected_rows: int) -> None:
        self.kind, self.expected_rows = kind, expected_rows
        self.block = _Growing(kind.value_type.to_pandas_dtype(), expected_rows, 0)
        self.lengths = _Growing(np.int32, expected_rows)  # -1: null

    def append(self, values: pa.ChunkedArray) -> None:
        lengths = pc.fill_null(pc.list_value_length(values), -1).to_numpy()
        numbers = pc.list_flatten(values).to_numpy()  # those of a null are none
        longest = max(lengths.max(initial=0), self.block.memory.shape[1])
        self._widen(longest)
        if len(numbers) == len(lengths) * longest:
            self.block.append(numbers.reshape(len(lengths), longest), len(lengths))
        else:
            block = np.full((len(lengths), longest), np.nan)
            block[np.arange(longest) < lengths[:, None]] = numbers
            self.block.append(block, len(lengths))
        self.lengths.append(lengths, len(lengths))

    def _widen(self, longest: int) -> None:
        if longest == self.block.memory.shape[1]:
            return
        narrow = self.block
        self.block = _Growing(narrow.memory.dtype, len(narrow.memory), longest)
        wider = np.full((narrow.rows, longest), np.nan)
        wider[:, : narrow.memory.shape[1]] = narrow.values
        self.block.append(wider, narrow.rows)

    def so_far(self) -> np.ndarray:
        return self.block.values

    def finish(self, order: np.ndarray | None, spares: Spares) -> Any:
        import pandas as pd

        block = self.block.values
        if order is not None:
            for position in range(block.shape[1]):  # a second block would be too much
                block[: len(order), position] = block[:, position][order]
            block = block[: len(order)]
        lengths = self.lengths.in_order(order, spares)
        at_once = max(1, _LARGEST_OFFSET // max(1, block.shape[1]))
        begins = range(0, max(1, len(block)), at_once)
        chunks = [
            _list_array(block[i : i + at_once], lengths[i : i + at_once], self.kind) for i in begins
        ]
        return pd.arrays.ArrowExtensionArray(pa.chunked_array(chunks, self.kind))


def _list_array(block: np.ndarray, lengths: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """Rows [n, longest] of which so many [n] numbers count each; -1 is a null."""
    longest = block.shape[1]
    is_null = lengths < 0
    if (is_null | (lengths == longest)).all():
        numbers = block.reshape(-1)  # a null's are passed over
        offsets = np.arange(len(block) + 1) * longest
    else:
        numbers = block[np.arange(longest) < lengths[:, None]]
        offsets = np.append(0, np.cumsum(np.maximum(lengths, 0)))
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array(numbers),
        type=kind,
        mask=pa.array(is_null) if is_null.any() else None,
    )


class _Others:
    """Text, bytes, times, lists of text: left in arrow, which keeps them smaller than numpy."""

    def __init__(self, kind: pa.DataType) -> None:
        # Two gigabytes of images are more than arrow's usual offsets reach.
        large = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
        self.kind = large.get(kind, kind)
        self.is_text = kind == pa.string()  # such as the sweep's name, the same in every row
        self.chunks: list[pa.Array] = []

    def append(self, values: pa.ChunkedArray) -> None:
        values = values.cast(self.kind)
        self.chunks += (values.dictionary_encode() if self.is_text else values).chunks

    def so_far(self) -> np.ndarray:
        return self._values().to_numpy()

    def finish(self, order: np.ndarray | None, spares: Spares) -> Any:
        values = self._values() if order is None else self._values().take(pa.array(order))
        self.chunks = []
        return values.cast(self.kind).to_pandas()

    def _values(self) -> pa.ChunkedArray:
        if self.is_text and self.chunks:
            return pa.chunked_array(self.chunks).unify_dictionaries()
        return pa.chunked_array(self.chunks, self.kind)
