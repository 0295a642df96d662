"""The tables of a sweep as JSON, CSV, Parquet or an Arrow stream, in the process that reads."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.compare import leaderboard
from analysis.schema import CONTROL, HISTORY, TRIALS
from sweeps.mistakes import did_you_mean
from sweeps.service.formats import MEDIA_TYPES, Format, TableName
from sweeps.service.reading import Content, Reading
from sweeps.service.refusals import Refusal

__all__ = ["table"]

_SCHEMAS = {TableName.TRIALS: TRIALS, TableName.HISTORY: HISTORY, TableName.CONTROL: CONTROL}


def table(params: Mapping[str, str], reading: Reading) -> Content:
    """A table, or some rows and columns of it.

    Args:
        params: `table`, `format`, and if given `columns` (names between commas), `offset` and
            `limit`.
        reading: of the sweep.

    Raises:
        Refusal: it has no such column.
    """
    name, kind = TableName(params["table"]), Format(params["format"])
    frame = _frame(name, reading)
    if "columns" in params:
        frame = frame[_columns(params["columns"], frame, name)]
    begin = int(params.get("offset", 0))
    end = begin + int(params["limit"]) if "limit" in params else None
    content = _WRITERS[kind](frame.iloc[begin:end].reset_index(drop=True), name)
    return Content(content, MEDIA_TYPES[kind])


def _frame(name: TableName, reading: Reading) -> pd.DataFrame:
    match name:
        case TableName.TRIALS:
            return reading.sweep.trials
        case TableName.HISTORY:
            return reading.sweep.history
        case TableName.CONTROL:
            return reading.sweep.control
        case TableName.VERDICTS:
            return reading.verdicts
        case TableName.LEADERBOARD:
            return leaderboard(reading.sweep, n=max(1, len(reading.sweep.trials)))
        case TableName.IMPORTANCES:
            return reading.tables.importances


def _columns(given: str, frame: pd.DataFrame, name: TableName) -> list[str]:
    wanted = list(dict.fromkeys(each.strip() for each in given.split(",") if each.strip()))
    known = [str(column) for column in frame.columns]
    for column in wanted:
        if column not in known:
            right = f"{name} has no such column; {did_you_mean(column, known)}"
            raise Refusal(422, f"columns = {json.dumps(column)}: {right}")
    return wanted or known


def _json(frame: pd.DataFrame, name: TableName) -> str:
    """Rows as objects; what is not finite is null, and the last digit of a float is there."""
    columns = {
        field.name: [_finite(value) for value in column.to_pylist()]
        for field, column in _columns_of(_as_arrow(frame, name))
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps(rows, default=_time, allow_nan=False, separators=(",", ":"))


def _csv(frame: pd.DataFrame, name: TableName) -> str:
    """Lists are JSON in their cells."""
    lists: dict[str, Any] = {
        field.name: [_cell(value) for value in column.to_pylist()]
        for field, column in _columns_of(_as_arrow(frame, name))
        if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)
    }
    return frame.assign(**lists).to_csv(index=False)


def _columns_of(rows: pa.Table) -> Iterator[tuple[pa.Field, pa.ChunkedArray]]:
    return zip(rows.schema, rows.columns, strict=True)


def _finite(value: object) -> object:
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: object) -> str | None:
    return None if value is None else json.dumps(_finite(value), allow_nan=False)


def _time(value: datetime) -> str:
    return value.isoformat()


def _arrow(frame: pd.DataFrame, name: TableName) -> bytes:
    rows, sink = _as_arrow(frame, name), io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return sink.getvalue()


def _parquet(frame: pd.DataFrame, name: TableName) -> bytes:
    sink = io.BytesIO()
    pq.write_table(_as_arrow(frame, name), sink, compression="zstd")
    return sink.getvalue()


def _as_arrow(frame: pd.DataFrame, name: TableName) -> pa.Table:
    """With the types of the contract, where there is one."""
    known = _SCHEMAS.get(name)
    if known is None:
        return pa.Table.from_pandas(frame, preserve_index=False)
    schema = pa.schema([known.field(str(column)) for column in frame], metadata=known.metadata)
    rows = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    return rows.replace_schema_metadata(known.metadata)


_WRITERS: dict[Format, Callable[[pd.DataFrame, TableName], str | bytes]] = {
    Format.JSON: _json,
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
    Format.ARROW: _arrow,
}
