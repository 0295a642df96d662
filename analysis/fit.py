"""How the columns of a part fit the schema that it is read by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analysis.columns import NEVER_NULL
from analysis.location import on_one_line
from analysis.schema import SCHEMA_VERSION, VERSION_KEY

__all__ = ["Fit", "Fits", "PartError", "SchemaVersionError", "check_keys", "keys_with_nulls"]

_SERIALISED = b"ARROW:schema"


class SchemaVersionError(ValueError):
    """A part was written by a newer gansweep than this one can read. One line."""


class PartError(ValueError):
    """A part is damaged, or not of its table. One line that names it."""


@dataclass(frozen=True)
class Fit:
    """What is to be read of a part, and to be made of it."""

    schema: pa.Schema
    """That is wanted."""
    names: list[str] | None
    """Columns to be read, None for all."""
    lacking: frozenset[str]
    """Columns that are wanted and not there."""
    is_exact: bool
    """Whether what is read has the schema that is wanted."""

    def conform(self, part: str, table: pa.Table) -> pa.Table:
        """The table with the columns wanted alone, nulls where it has none of that name.

        Args:
            part: its name, for a message.
            table: its columns `names`.

        Raises:
            PartError: a column has a type that cannot be made that of the schema.
        """
        if self.is_exact:
            return table
        columns = [_column(part, table, field) for field in self.schema]
        return pa.Table.from_arrays(columns, schema=self.schema)


class Fits:
    """The fits of many parts, nearly all of one schema.

    To take a schema of 70 columns out of a small part and compare it costs a tenth of reading the
    part, so it is done once for all that have the same.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._known: dict[bytes, Fit] = {}

    def of(self, part: str, file: Any) -> Fit:
        """That of a part.

        Args:
            part: its name, for a message.
            file: a `pyarrow.parquet.ParquetFile`.

        Raises:
            SchemaVersionError: it has a newer major version of the schema.
        """
        serialised = (file.metadata.metadata or {}).get(_SERIALISED)
        if serialised in self._known:
            return self._known[serialised]
        schema = file.schema_arrow
        _check_version(part, schema.metadata or {})
        fit = _fit(schema, self._schema)
        if serialised is not None:
            self._known[serialised] = fit
        return fit


def keys_with_nulls(table: pa.Table) -> list[str]:
    """Columns in which every row needs a value and some has none."""
    return [name for name in NEVER_NULL if name in table.schema.names and table[name].null_count]


def check_keys(part: str, table: pa.Table) -> None:
    """Refuses a table with rows that belong to no member.

    Raises:
        PartError: there are such.
    """
    for name in keys_with_nulls(table):
        raise PartError(f"{part}: column {name}: has nulls; every row needs one")


def _fit(present: pa.Schema, wanted: pa.Schema) -> Fit:
    known = set(present.names)
    every = known <= set(wanted.names)
    return Fit(
        schema=wanted,
        names=None if every else [name for name in wanted.names if name in known],
        lacking=frozenset(wanted.names) - known,
        is_exact=present.equals(wanted, check_metadata=False),
    )


def _column(part: str, table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    index = table.schema.get_field_index(field.name)
    if index < 0:
        return pa.chunked_array([pa.nulls(len(table), field.type)])
    column = table.column(index)
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise PartError(f"{part}: column {field.name}: {on_one_line(error)}") from None


def _check_version(part: str, metadata: dict[bytes, bytes]) -> None:
    written = metadata.get(VERSION_KEY, str(SCHEMA_VERSION).encode()).decode()
    if int(written.split(".")[0]) > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{part}: has schema version {written}, this gansweep reads up to {SCHEMA_VERSION}: "
            "read it with the gansweep that wrote it, or a newer one"
        )
