"""Opens Optuna's journal file, the durable record of a study, also after a crash."""

from __future__ import annotations

import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

__all__ = ["LOCK_GRACE_S", "open_journal", "repair"]

LOCK_GRACE_S = 5
"""Seconds after which the lock of a killed writer is broken; Optuna's default of 30 would hold up
every restart of the owner. A write takes milliseconds."""


def open_journal(path: Path) -> JournalStorage:
    """The storage in this file, which is created with its folder if it does not exist.

    Every operation is on disk (fsync) when its call returns. There is to be one writer; anyone
    may read.
    """
    # The lock is a symbolic link to the file. A relative target would be resolved against the
    # link's own folder and dangle, and a stale lock would then never be broken.
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    repair(path)
    lock = JournalFileSymlinkLock(str(path), grace_period=LOCK_GRACE_S)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


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
