"""Makes few parts of a finished sweep's many, without a moment in which a reader sees less.

Whole new parts come first, then the old ones go. In between a plain reader sees rows twice, and
`analysis.load`, which takes one of each, sees no difference at all. A new part names those that it
is made of, so that what a crash left of them is removed the next time and not taken in again.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

from sweeps.store import StorageError, Store, TableName

__all__ = ["MADE_OF", "compact"]

MADE_OF = b"gansweep_made_of"
"""Key of a new part's metadata: names of the parts that it was made of, as JSON."""

_TABLES = (TableName.HISTORY, TableName.SAMPLES, TableName.TRIALS)  # the others have one part
_ORDER = ("trial", "seed", "attempt", "rung", "step")
_LARGE_BYTES = 128 << 20
"""Size that a part need not be above: a reader beside us, and we, hold one in memory."""
_AT_ONCE = 8  # parts that are read
_SETTLE_S = 1.0
"""Longer than a folder takes to list: who began to before the new part was there has ended."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


def compact(store: Store, *, settle_s: float = _SETTLE_S) -> None:
    """Compacts the tables of members; of a sweep that nobody writes to.

    A sweep is not to fail for the number of its files, so what the storage refuses is only logged:
    the rows are as they were.

    Args:
        store: of the sweep.
        settle_s: seconds between the last new part and the first old one that goes.
    """
    replaced: list[tuple[TableName, list[str]]] = []
    try:
        for table in _TABLES:
            schemas = _without_leftovers(store, table)
            replaced += ((table, names) for names in _rewrite(store, table, schemas))
    except StorageError as error:
        _log.warning("other parts are left as they are: %s", error)
    if replaced:
        time.sleep(settle_s)
    try:
        for table, names in replaced:
            store.drop_parts(table, names)
    except StorageError as error:
        _log.warning("parts that were compacted are left beside the new ones: %s", error)


def _without_leftovers(store: Store, table: TableName) -> dict[str, pa.Schema]:
    """Ends what an earlier compaction began to remove: the schemas of the parts that stay."""
    schemas = dict(_each(store.parts(table), lambda name: store.read_schema(table, name)))
    metadata = [schema.metadata or {} for schema in schemas.values()]
    leftovers = {name for each in metadata for name in json.loads(each.get(MADE_OF, b"[]"))}
    store.drop_parts(table, leftovers & schemas.keys())
    return {name: schema for name, schema in schemas.items() if name not in leftovers}


def _rewrite(
    store: Store, table: TableName, schemas: Mapping[str, pa.Schema]
) -> Iterator[list[str]]:
    """Puts new parts beside the old ones, and yields of which each was made."""
    schema = store.schema(table)
    # An older version's parts stay: what they lack would look as if it had been null.
    sizes = {
        name: size
        for name, size in store.parts(table).items()
        if size < _LARGE_BYTES / 2 and name in schemas and schemas[name].equals(schema)
    }
    for names in _bunches(sizes):
        if len(names) == 1:
            continue
        rows = pa.concat_tables(
            [part for _, part in _each(names, lambda name: store.read_part(table, name))]
        )
        order = [(name, "ascending") for name in _ORDER if name in schema.names]
        metadata = {**(schema.metadata or {}), MADE_OF: json.dumps(names).encode()}
        whole = rows.sort_by(order).replace_schema_metadata(metadata)
        store.put_part(table, whole, f"compact-{secrets.token_hex(4)}")
        yield names


def _each(names: Iterable[str], read: Callable[[str], _T]) -> Iterator[tuple[str, _T]]:
    """What is read of each, several at once: an object store takes its time over each."""
    names = list(names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from zip(names, pool.map(read, names), strict=True)


def _bunches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names, each bunch as many as stay below the size of a large part."""
    bunch: list[str] = []
    total = 0
    for name in sorted(sizes):
        if bunch and total + sizes[name] > _LARGE_BYTES:
            yield bunch
            bunch, total = [], 0
        bunch.append(name)
        total += sizes[name]
    if bunch:
        yield bunch
