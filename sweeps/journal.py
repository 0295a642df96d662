"""Opens Optuna's journal file, the durable record of a study, also after a crash."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial

__all__ = ["LOCK_GRACE_S", "Journal", "JournalFile", "open_journal", "repair"]

LOCK_GRACE_S = 5
"""Seconds after which the lock of a killed writer is broken; Optuna's default of 30 would hold up
every restart of the owner. A write takes milliseconds."""


class JournalFile(JournalFileBackend):
    """Optuna's, but several operations may go to the disk together, in one write.

    They wait in memory until then, where whoever wrote them reads them. A crash loses a tail of
    them at most, and the file holds what was acknowledged.
    """

    def __init__(self, path: Path) -> None:
        # The lock is a symbolic link to the file. A relative target would be resolved against the
        # link's own folder and dangle, and a stale lock would then never be broken.
        self._path = path.resolve()
        self._writing = JournalFileSymlinkLock(str(self._path), grace_period=LOCK_GRACE_S)
        self._threads = threading.local()
        self._changing = threading.Lock()
        self._waiting: list[str] = []
        self._written: list[str] = []  # last; whoever added them may not have read them yet
        self._known = 0  # operations in the file, as far as it was looked at; others wait
        self._known_bytes = 0
        super().__init__(str(self._path), lock_obj=self._writing)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Takes in operations, in order, whichever thread they are of."""
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        with self._changing:
            if not self._waiting:
                self._look()
            self._waiting += lines
        self._threads.has_written = True
        if not getattr(self._threads, "groups", 0):
            self._settle()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """The operations from a number on, those that wait at their end."""
        found: list[dict[str, Any]] = []
        with self._changing:
            in_memory = self._known - len(self._written)
            if log_number_from < in_memory:
                found, lines = list(super().read_logs(log_number_from)), self._waiting[:]
            elif log_number_from < self._known or self._waiting:
                lines = (self._written + self._waiting)[log_number_from - in_memory :]
            else:
                lines = [line.decode() for line in self._look()]
        yield from found
        yield from map(json.loads, lines)

    def _look(self) -> list[bytes]:
        """The operations that are new in the file: somebody else's."""
        with self._path.open("rb") as file:
            file.seek(self._known_bytes)
            text = file.read()
        lines = text[: text.rfind(b"\n") + 1].splitlines(keepends=True)
        self._known += len(lines)
        self._known_bytes += sum(map(len, lines))
        if lines:
            self._written = []  # they stand behind it, and are read from the file
        return lines

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread writes inside is on the disk when the block ends, and not before.

        Of blocks inside one another it is the end of the outermost.
        """
        groups = getattr(self._threads, "groups", 0)
        if not groups:
            self._threads.has_written = False
        self._threads.groups = groups + 1
        try:
            yield
        finally:
            self._threads.groups = groups
        # What waits may also be of a group that failed, and is acknowledged when it is repeated.
        if not groups and (self._threads.has_written or self._waiting):
            self._settle()

    def _settle(self) -> None:
        with self._changing:
            if self._waiting:
                self._known_bytes += self._write(self._waiting)
                self._known += len(self._waiting)
                self._written, self._waiting = self._waiting, []
        # Also if another thread has written what this one added: it may not be synced yet.
        with self._path.open("ab") as file:
            os.fsync(file.fileno())

    def _write(self, lines: list[str]) -> int:
        """Returns how many bytes."""
        self._writing.acquire()
        try:
            with self._path.open("ab") as file:
                if file.tell() != self._known_bytes:  # the numbers that were handed out are wrong
                    raise OSError(errno.EBUSY, "another process writes to it", str(self._path))
                return file.write("".join(lines).encode())
        finally:
            self._writing.release()


class Journal(JournalStorage):
    """Optuna's storage in a file of its own.

    Args:
        path: of the file, which is created if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._file = JournalFile(path)
        self.together = self._file.together
        super().__init__(self._file)

    def take_over(self, trial: FrozenTrial) -> None:
        """Holds this object for a trial that has ended, instead of an equal one of its own."""
        with self._thread_lock:
            self._replay_result._trials[trial._trial_id] = trial


def open_journal(path: Path) -> Journal:
    """The storage in this file, which is created with its folder if it does not exist.

    Every operation is on disk (fsync) when its call returns, unless it is one of several that go
    `together`. There is to be one writer; anyone may read.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    repair(path)
    return Journal(path)


def repair(path: Path) -> int:
    """Cuts off a last line that a crash or a full disk left unfinished.

    Left in place, the next operation would be appended to it: that one would be lost, and the
    file could never be read again. The unfinished operation was never acknowledged.

    Returns:
        Number of bytes cut off; 0 for a sound, an empty or no file.
    """
    if not path.exists():
        return 0
    content = path.read_bytes()
    torn = len(content) - (content.rfind(b"\n") + 1)
    if torn:
        with path.open("r+b") as file:
            file.truncate(len(content) - torn)
            os.fsync(file.fileno())
    return torn
