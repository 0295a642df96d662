"""One driver to a sweep: two owners of one study would tear its journal."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from gan_core.config import ConfigError
from sweeps.mistakes import SweepFailure

__all__ = ["SweepLock", "holder", "is_locked"]

_NAME = ".lock"


def is_locked(directory: Path) -> bool:
    """Whether a process runs the sweep in this directory."""
    try:
        file = os.open(directory / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, so that those who ask are not in each other's way.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def holder(directory: Path) -> int | None:
    """The process of this machine that runs the sweep in this directory.

    The lock's file may name a process of another machine: this one's must have it open.
    """
    path = directory / _NAME
    if not is_locked(directory):
        return None
    text = path.read_text().strip()
    try:
        opened = {entry.resolve() for entry in Path(f"/proc/{int(text)}/fd").iterdir()}
    except (OSError, ValueError):
        return None
    return int(text) if path.resolve() in opened else None


class SweepLock:
    """Held by the process that runs a sweep; the system frees it however the process ends.

    Args:
        directory: the sweep's own.
        name: of the sweep, if that is not the directory's.

    Raises:
        ConfigError: on entering, if another process runs the sweep.
        SweepFailure: on entering, if the directory cannot be written to.
    """

    def __init__(self, directory: Path, name: str | None = None) -> None:
        self._directory, self._name = directory, name or directory.name

    def __enter__(self) -> Self:
        path = self._directory / _NAME
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SweepFailure(f"{path}: cannot be locked: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode() or "another"
            os.close(self._file)
            right = f"is being run by process {holder.strip()}: stop that first, or wait"
            raise ConfigError("SWEEP", self._name, right) from None
        try:
            os.truncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._file)
            raise SweepFailure(f"{path}: cannot be written: {error.strerror}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._file)
