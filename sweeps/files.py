"""The files of one sweep, each written whole; here on a disk, `sweeps.objects` in a store."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from sweeps.mistakes import SweepFailure

__all__ = ["File", "Files", "LocalFiles", "StorageError"]

_TEMPORARY = ".tmp"


class StorageError(SweepFailure):
    """The results cannot be written or read; the message is one line that names the place."""


@dataclass(frozen=True)
class File:
    """What a listing says of one."""

    size_bytes: int
    changed_ns: int
    """When it was written last, nanoseconds of the epoch by the storage's own clock."""


class Files(Protocol):
    """Files by their names below a sweep's place, `folder/name` or `name`.

    Raises:
        StorageError: all methods, if the storage cannot do it.
    """

    def put(self, name: str, content: bytes | memoryview) -> None:
        """Makes a file of the content, in place of what was there: at once, and durably."""

    def read(self, name: str) -> bytes | None:
        """Its content, None if there is no such file."""

    def open(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """For readers that want parts of it; what fails inside is a `StorageError` too."""

    def listed(self, folder: str = "") -> dict[str, File]:
        """The files of a folder by name, none if there is no such folder."""

    def remove(self, names: Collection[str]) -> None:
        """Removes those that are there."""

    def remove_folder(self, folder: str) -> None:
        """Removes it with its files, if it is there."""

    def clean(self, folders: Collection[str]) -> None:
        """Removes what killed writers left half-written in the place and these folders."""


class LocalFiles:
    """In a directory, made at the first write.

    A file is written under a name that begins with a dot, which Parquet readers skip, is synced,
    and only then renamed. So a reader at any moment, and after any crash, sees whole files alone;
    and when a write returns, it outlives a power cut.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, name: str, content: bytes | memoryview) -> None:
        """See `Files`; where it fails nothing is left behind."""
        path = self._directory / name
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

    def read(self, name: str) -> bytes | None:
        """See `Files`."""
        path = self._directory / name
        with _storage_errors("read", path), contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        return None

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """See `Files`."""
        path = self._directory / name
        with _storage_errors("read", path), path.open("rb") as file:
            yield file

    def listed(self, folder: str = "") -> dict[str, File]:
        """See `Files`."""
        found = {}
        with _storage_errors("list", self._directory / folder):
            for path in (self._directory / folder).glob("*"):
                # It may be gone by now, as in a compaction.
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    if path.is_file():
                        found[path.name] = File(status.st_size, status.st_mtime_ns)
        return found

    def remove(self, names: Collection[str]) -> None:
        """See `Files`."""
        for name in names:
            path = self._directory / name
            with _storage_errors("remove", path):
                path.unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """See `Files`; what cannot be removed stays."""
        shutil.rmtree(self._directory / folder, ignore_errors=True)

    def clean(self, folders: Collection[str]) -> None:
        """See `Files`."""
        for folder in (self._directory, *(self._directory / name for name in folders)):
            for leftover in folder.glob(f".*{_TEMPORARY}"):
                with _storage_errors("remove", leftover):
                    leftover.unlink(missing_ok=True)


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
