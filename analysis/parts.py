"""Reads a folder of Parquet parts, also while a sweep adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import fs

from analysis.schema import SCHEMA_VERSION, VERSION_KEY

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SchemaVersionError", "read_parts", "to_frame"]

_ATTEMPTS = 3

# Whole numbers that every row has. The others may be null, so they are read as pandas' nullable
# integers always: a column's dtype must not depend on whether a null happens to be in it.
_NEVER_NULL = ("trial", "seed", "attempt", "rung", "step")


class SchemaVersionError(ValueError):
    """A part was written by a newer gansweep than this one can read. One line."""


def read_parts(filesystem: Any, folder: str, schema: pa.Schema) -> pa.Table:
    """Rows of all parts in the folder, in the order of their names.

    Names that begin with a dot are parts still being written and are passed over. Columns that
    a part lacks are null, columns that the schema lacks are left out. A part that compaction
    deletes between listing and reading makes the folder be listed anew.

    Args:
        filesystem: a `pyarrow.fs.FileSystem`.
        folder: a path in it; absent or empty gives no rows.
        schema: one of `analysis.schema`.

    Raises:
        SchemaVersionError: a part has a newer major version of the schema.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _read_once(filesystem, folder, schema)
        except FileNotFoundError:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def to_frame(table: pa.Table) -> pd.DataFrame:
    """The table in pandas, with dtypes that depend on its schema alone.

    A null number (it does not apply) and NaN (measured, not finite) are both NaN in pandas:
    `nonfinite_steps` and `status` tell which. Lists are numpy arrays, null lists None.
    """
    import pandas as pd  # half a second, which `import analysis` need not take

    nullable = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    frame = table.to_pandas(types_mapper=nullable.get)
    keys = {name: table.schema.field(name).type.to_pandas_dtype() for name in _NEVER_NULL
            if name in table.schema.names}  # fmt: skip
    return frame.astype(keys)


def _read_once(filesystem: Any, folder: str, schema: pa.Schema) -> pa.Table:
    import pyarrow.dataset as ds  # imports pandas, so half a second here too

    listing = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    parts = sorted(
        info.path
        for info in listing
        if info.is_file and info.extension == "parquet" and not info.base_name.startswith(".")
    )
    if not parts:
        return schema.empty_table()
    dataset = ds.dataset(parts, schema=schema, filesystem=filesystem, format="parquet")
    for fragment in dataset.get_fragments():
        _check_version(fragment.path, fragment.physical_schema.metadata or {})
    return dataset.to_table()


def _check_version(part: str, metadata: dict[bytes, bytes]) -> None:
    written = metadata.get(VERSION_KEY, str(SCHEMA_VERSION).encode()).decode()
    if int(written.split(".")[0]) > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{part}: has schema version {written}, this gansweep reads up to {SCHEMA_VERSION}: "
            "read it with the gansweep that wrote it, or a newer one"
        )
