"""The files of a sweep in an object store, through the filesystems of pyarrow.

There is no rename there, and no half-written object: what is put appears whole, once, under its
final name.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import cached_property
from typing import IO, TypeVar

from pyarrow import fs

from analysis.location import Location, locate, on_one_line, plain_errors
from sweeps.files import File, StorageError
from sweeps.uri import as_location, secrets_of, shown

__all__ = ["PATIENCE_S", "ObjectFiles"]

PATIENCE_S = 60.0
"""Seconds for which a request that fails for a reason that may pass is repeated; then the sweep
stops, and can be resumed once the store is well again."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_AT_ONCE = 16  # requests; each takes tens of milliseconds, whatever is asked

_T = TypeVar("_T")


class _Error(Enum):
    RAISED = "raised"


class ObjectFiles:
    """Below a URI; see `sweeps.files.Files`, whose methods these are.

    Any request may be repeated: a put puts the same again, and what is removed twice is gone.

    Args:
        uri: such as `s3://bucket/prefix/sweep`; user, password and options are in no message.
        patience_s: how long a request is repeated.
    """

    def __init__(self, uri: str, patience_s: float = PATIENCE_S) -> None:
        self._uri, self._patience_s = as_location(uri), patience_s
        self._name = shown(self._uri)

    @cached_property
    def _location(self) -> Location:
        """Opened when first needed: a worker opens its own."""
        return locate(self._uri, attempts=1)  # `_insist` repeats, and knows for how long

    def put(self, name: str, content: bytes | memoryview) -> None:
        """Puts the object."""

        def write() -> None:
            with self._location.filesystem.open_output_stream(self._path(name)) as stream:
                stream.write(content)

        self._insist("write", name, write)

    def read(self, name: str) -> bytes | None:
        """The object's content, None if it is not there."""

        def read() -> bytes | None:
            with self._location.filesystem.open_input_stream(self._path(name)) as stream:
                content: bytes = stream.read()
                return content

        return self._insist("read", name, read, absent=None)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """The object, of which parts can be read; nothing is repeated but by the client."""
        with (
            self._told("read", name),
            plain_errors(self._name),
            self._location.filesystem.open_input_file(self._path(name)) as stream,
        ):
            yield stream

    def listed(self, folder: str = "") -> dict[str, File]:
        """The objects directly in a folder."""

        def look() -> dict[str, File]:
            selector = fs.FileSelector(self._path(folder), allow_not_found=True)
            found = self._location.filesystem.get_file_info(selector)
            return {i.base_name: File(i.size, i.mtime_ns or 0) for i in found if i.is_file}

        return self._insist("list", folder, look, absent={})

    def folders_with(self, name: str) -> list[str]:
        """The folders in here that hold an object of this name, sorted."""

        def look() -> list[str]:
            filesystem = self._location.filesystem
            selector = fs.FileSelector(self._path(""), allow_not_found=True)
            folders = [i for i in filesystem.get_file_info(selector) if not i.is_file]
            inner = filesystem.get_file_info([f"{folder.path}/{name}" for folder in folders])
            return sorted(f.base_name for f, i in zip(folders, inner, strict=True) if i.is_file)

        return self._insist("list", "", look, absent=[])

    def names(self) -> set[str]:
        """Of all objects and folders that lie here."""

        def look() -> set[str]:
            selector = fs.FileSelector(self._path(""), allow_not_found=True)
            return {i.base_name for i in self._location.filesystem.get_file_info(selector)}

        return self._insist("list", "", look, absent=set[str]())

    def remove(self, names: Collection[str]) -> None:
        """Removes the objects that are there."""

        def gone(name: str) -> None:
            def delete() -> None:
                self._location.filesystem.delete_file(self._path(name))

            self._insist("remove", name, delete, absent=None)

        if len(names) < 2:
            for name in names:
                gone(name)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(gone, names))

    def remove_folder(self, folder: str) -> None:
        """Removes all objects in it."""
        self.remove([f"{folder}/{name}" for name in self.listed(folder)])

    def clean(self, folders: Collection[str]) -> None:
        """There is nothing half-written."""

    def _path(self, name: str) -> str:
        return f"{self._location.root}/{name}" if name else self._location.root

    def _insist(
        self, verb: str, name: str, call: Callable[[], _T], absent: _T | _Error = _Error.RAISED
    ) -> _T:
        """Repeats what fails for a reason that may pass.

        Args:
            verb: for messages.
            name: likewise.
            call: the requests.
            absent: what to return if there is no such object.
        """
        end = time.monotonic() + self._patience_s
        pause = _FIRST_PAUSE_S
        with self._told(verb, name):
            while True:
                try:
                    with plain_errors(self._name):
                        return call()
                except FileNotFoundError:
                    if isinstance(absent, _Error):
                        raise
                    return absent
                except PermissionError:
                    raise
                except OSError:
                    if time.monotonic() + pause > end:
                        raise
                # Many workers that begin again at once would meet again and again.
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    @contextlib.contextmanager
    def _told(self, verb: str, name: str) -> Iterator[None]:
        """Makes errors `StorageError`s of one line, in which no secret is."""
        try:
            yield
        except (OSError, ValueError) as error:
            place = f"{self._name}/{name}" if name else self._name
            reason = on_one_line(error).removeprefix(f"{self._name}: ")
            for secret in secrets_of(self._uri):
                reason = reason.replace(secret, "***")
            raise StorageError(f"cannot {verb} {place}: {reason}") from None
