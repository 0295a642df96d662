"""The tables of a sweep, and how rows become the bytes of a Parquet part of one."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import CONTROL, HISTORY, IMPORTANCES, SAMPLES, TRIALS

__all__ = ["SCHEMAS", "TableName", "as_table", "parquet"]


class TableName(StrEnum):
    """The tables of a sweep; each is a folder of parts."""

    TRIALS = "trials"
    HISTORY = "history"
    SAMPLES = "samples"
    CONTROL = "control"
    IMPORTANCES = "importances"


SCHEMAS = {
    TableName.TRIALS: TRIALS,
    TableName.HISTORY: HISTORY,
    TableName.SAMPLES: SAMPLES,
    TableName.CONTROL: CONTROL,
    TableName.IMPORTANCES: IMPORTANCES,
}
"""Of the parts that this version writes."""


def as_table(rows: Sequence[Mapping[str, object]], table: TableName) -> pa.Table:
    """Rows of a table; types come from its schema alone.

    Raises:
        ValueError: a row has not exactly the table's columns, or a value does not fit its column.
    """
    schema = SCHEMAS[table]
    for row in rows:
        _check_columns(row, schema, table)
    columns = [_column([row[field.name] for row in rows], field, table) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def parquet(rows: pa.Table) -> memoryview:
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
