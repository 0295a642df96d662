"""Writes a sweep's results: Parquet parts that a reader sees whole or not at all."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.files import Files, LocalFiles, StorageError
from sweeps.home import home_of
from sweeps.naming import CONFIG_NAME
from sweeps.objects import PATIENCE_S, ObjectFiles
from sweeps.tables import SCHEMAS, TableName, as_table, parquet
from sweeps.uri import as_location, is_uri, last_part, parent, shown, without_secrets
from sweeps.weights import (
    MEMBERS_FOLDER,
    WEIGHTS_FOLDER,
    member_of,
    members_name,
    trial_of,
    weights_name,
)

__all__ = ["StorageError", "Store", "TableName"]

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_HASTE_S = 10.0
_NOTE = re.compile(r"\.?[a-z][a-z0-9.-]{0,99}")


class Store:
    """The place of one sweep: `<table>/<part>.parquet`, `sweep.toml` and members' networks.

    Every file appears whole, at once, under its final name. So a reader at any moment, and after
    any crash, sees whole rows alone; and when a write returns, its rows are durable.

    Any number of processes may write at a time, each to part names of its own. A store may be
    pickled, for the workers; if its URI has a user and a password in it, so has the pickle, but
    nothing that is shown.

    Args:
        uri: the sweep's own directory, made at the first write, or a URI such as
            `s3://bucket/prefix/sweep`, see `analysis.location.locate`.
        home: for what must be a file on the disk of whoever runs the sweep: its journal, locks
            and logs. By default the directory itself, or `sweeps.home.home_of` the URI.
        patience_s: how long a request to an object store is repeated.
    """

    def __init__(
        self, uri: Path | str, home: Path | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._place, self._home, self._patience_s = as_location(uri), home, patience_s
        self._files: Files
        if is_uri(self._place):
            self._files = ObjectFiles(self._place, patience_s)
            self.home = home or home_of(self._place)
        else:
            self._files = LocalFiles(Path(self._place))
            self.home = home or Path(self._place)

    def __repr__(self) -> str:
        """Without secrets."""
        return f"Store({self.location!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Whoever gets it opens connections of its own."""
        return _opened, (self._place, self._home, self._patience_s)

    def hasty(self) -> Store:
        """The same for what is tried again anyway: requests are repeated for a few seconds."""
        return Store(self._place, self._home, patience_s=min(_HASTE_S, self._patience_s))

    @property
    def name(self) -> str:
        """The sweep's."""
        return last_part(self._place)

    @property
    def location(self) -> str:
        """The place, fit to be shown: a path, or a URI without credentials and options."""
        return shown(self._place)

    @property
    def address(self) -> str:
        """The place as a command takes it, without credentials."""
        return without_secrets(self._place)

    @property
    def uri(self) -> str:
        """The place as `analysis.load` takes it, with all that was given: not to be shown."""
        return self._place

    @property
    def storage(self) -> str:
        """The place of the sweeps beside it, likewise."""
        return parent(self._place)

    @property
    def is_local(self) -> bool:
        """Whether it is a directory."""
        return not is_uri(self._place)

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
        name = _part_name(table, part)
        if rows:
            self._files.put(name, parquet(as_table(rows, table)))

    def parts(self, table: TableName) -> dict[str, int]:
        """The parts of a table that could be ours, by name their size in bytes.

        Raises:
            StorageError: They cannot be listed.
        """
        listed = ((Path(name), file) for name, file in self._files.listed(table).items())
        return {
            name.stem: file.size_bytes
            for name, file in listed
            if name.suffix == ".parquet" and _PART.fullmatch(name.stem)
        }

    @staticmethod
    def schema(table: TableName) -> pa.Schema:
        """Of the parts that this version writes."""
        return SCHEMAS[table]

    def read_schema(self, table: TableName, part: str) -> pa.Schema:
        """Of a part, as it was written.

        Raises:
            StorageError: It cannot be read.
        """
        with self._parquet_file(table, part) as file:
            return file.schema_arrow

    def read_part(
        self, table: TableName, part: str, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of a part, of these columns as far as it has them.

        Raises:
            StorageError: It cannot be read.
        """
        with self._parquet_file(table, part) as file:
            names = file.schema_arrow.names
            return file.read(columns and [name for name in columns if name in names])

    @contextlib.contextmanager
    def _parquet_file(self, table: TableName, part: str) -> Iterator[pq.ParquetFile]:
        name = _part_name(table, part)
        content = None if self.is_local else self._files.read(name)
        with contextlib.ExitStack() as stack:
            # What comes from afar comes at once, and again if it has to.
            opened = (
                stack.enter_context(self._files.open(name))
                if content is None
                else pa.BufferReader(content)
            )
            try:
                yield stack.enter_context(pq.ParquetFile(opened))
            except pa.ArrowInvalid as error:  # no Parquet, or damaged
                reason = " ".join(str(error).split())
                raise StorageError(f"cannot read {self.location}/{name}: {reason}") from error

    def put_part(self, table: TableName, rows: pa.Table, part: str) -> None:
        """Write rows that were read from parts as a part.

        Raises:
            StorageError: It cannot be written; the table is as it was.
        """
        self._files.put(_part_name(table, part), parquet(rows))

    def drop_parts(self, table: TableName, parts: Iterable[str]) -> None:
        """Remove parts, those that are still there.

        Raises:
            StorageError: One cannot be removed.
        """
        self._files.remove([_part_name(table, part) for part in parts])

    def has_config(self) -> bool:
        """Whether a sweep is here.

        Raises:
            StorageError: The storage cannot be asked.
        """
        return CONFIG_NAME in self._files.listed()

    def read_config(self) -> str | None:
        """The sweep's resolved config, `sweep.toml`; None if there is none: then it is no sweep.

        Raises:
            StorageError: It cannot be read, or is no text.
        """
        content = self._files.read(CONFIG_NAME)
        try:
            return None if content is None else content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise StorageError(f"{self.location}/{CONFIG_NAME}: must be in UTF-8") from None

    def write_config(self, text: str) -> None:
        """Write the sweep's resolved config, `sweep.toml`, in place of what was there.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        self._files.put(CONFIG_NAME, text.encode())

    def forget_config(self) -> None:
        """Remove it, if it can be: what has none is no sweep."""
        with contextlib.suppress(StorageError):
            self._files.remove([CONFIG_NAME])

    def write_weights(self, trial: int, seed: int, content: bytes) -> None:
        """Write a member's networks in place of what an earlier attempt at its trial left.

        Args:
            trial: The member's.
            seed: Likewise.
            content: From `gan_core.export.member_bytes`.

        Raises:
            StorageError: They cannot be written; what was there still is.
        """
        self._files.put(weights_name(trial, seed), content)

    def drop_weights(self, trial: int, seed: int) -> None:
        """Remove a member's networks if they are there; raises StorageError if they stay."""
        self._files.remove([weights_name(trial, seed)])

    @contextlib.contextmanager
    def weights(self, trial: int, seed: int) -> Iterator[Path]:
        """A file that holds a member's networks, there as long as it is needed.

        Raises:
            StorageError: They are not there, or cannot be read.
        """
        name = weights_name(trial, seed)
        if self.is_local:
            yield Path(self._place) / name
            return
        content = self._files.read(name)
        if content is None:
            raise StorageError(f"cannot read {self.location}/{name}: there is no such object")
        with tempfile.TemporaryDirectory(prefix="gansweep-") as folder:
            path = Path(folder) / Path(name).name
            path.write_bytes(content)
            yield path

    def kept_members(self) -> set[tuple[int, int]]:
        """(trial, seed) of every member whose networks are there.

        Raises:
            StorageError: They cannot be listed.
        """
        return {own for name in self._files.listed(WEIGHTS_FOLDER) if (own := member_of(name))}

    def write_members(self, trial: int, content: bytes) -> None:
        """Write a trial in training in place of what was kept of it before.

        Args:
            trial: Its number.
            content: From `sweeps.held.kept_bytes`.

        Raises:
            StorageError: It cannot be written; what was there still is.
        """
        self._files.put(members_name(trial), content)

    def read_members(self, trial: int) -> bytes | None:
        """A trial in training as it was kept last, None if it was not.

        Raises:
            StorageError: It is there and cannot be read.
        """
        return self._files.read(members_name(trial))

    def drop_members(self, trials: Iterable[int]) -> None:
        """Remove what was kept of trials that ended, if anything was.

        Raises:
            StorageError: It cannot be removed.
        """
        self._files.remove([members_name(trial) for trial in trials])

    def kept_trials(self) -> set[int]:
        """Trials in training of which something is kept.

        Raises:
            StorageError: They cannot be listed.
        """
        found = (trial_of(name) for name in self._files.listed(MEMBERS_FOLDER))
        return {trial for trial in found if trial is not None}

    def forget_members(self) -> None:
        """Remove all that was kept of trials in training, if it can be: the sweep is done."""
        with contextlib.suppress(StorageError):
            self._files.remove_folder(MEMBERS_FOLDER)

    def write_note(self, name: str, content: bytes) -> None:
        """Write a small file beside the config, of whoever runs the sweep.

        Raises:
            ValueError: `name` cannot be one: lower-case letters, digits, `.` and `-`.
            StorageError: It cannot be written; what was there still is.
        """
        self._files.put(_note_name(name), content)

    def read_note(self, name: str) -> bytes | None:
        """Such a file, None if there is none.

        Raises:
            StorageError: It cannot be read.
        """
        return self._files.read(_note_name(name))

    def drop_note(self, name: str) -> None:
        """Remove it, if it is there.

        Raises:
            StorageError: It cannot be removed.
        """
        self._files.remove([_note_name(name)])

    def changed_ns(self) -> dict[str, int]:
        """When each file beside the config was written, nanoseconds by the storage's own clock.

        Raises:
            StorageError: They cannot be listed.
        """
        return {name: file.changed_ns for name, file in self._files.listed().items()}

    def state(self) -> frozenset[tuple[str, int, int]]:
        """Name, size and time of the config and all parts: another whenever results change.

        Raises:
            StorageError: They cannot be listed.
        """
        found = {CONFIG_NAME: self._files.listed().get(CONFIG_NAME)}
        for table in TableName:
            parts = self._files.listed(table).items()
            found |= {f"{table}/{n}": f for n, f in parts if not n.startswith(".")}
        return frozenset((n, f.size_bytes, f.changed_ns) for n, f in found.items() if f)

    def clean(self) -> None:
        """Remove what killed writers left half-written; call it before writers start.

        Raises:
            StorageError: A leftover cannot be removed.
        """
        self._files.clean((*TableName, WEIGHTS_FOLDER, MEMBERS_FOLDER))


def _opened(place: str, home: Path | None, patience_s: float) -> Store:
    return Store(place, home, patience_s=patience_s)


def _part_name(table: TableName, part: str) -> str:
    if not _PART.fullmatch(part):
        raise ValueError(
            f"part = {part!r}: letters, digits and ._- only, at most 200, and the first a "
            "letter or digit"
        )
    return f"{TableName(table)}/{part}.parquet"


def _note_name(name: str) -> str:
    if not _NOTE.fullmatch(name):
        raise ValueError(f"note = {name!r}: must be lower-case letters, digits, . and -")
    return name
