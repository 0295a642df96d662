"""The study's journal, copied to the object store in which its sweep lies.

The journal is a file on the disk of whoever runs the sweep, where every write is durable in
milliseconds. So that the sweep can go on elsewhere it is copied now and then, whole; what a copy
lacks is taken from the results: see `sweeps.recovery`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sweeps.files import LocalFiles, StorageError
from sweeps.store import Store

__all__ = ["COPY_EVERY_S", "JournalCopy", "adopt", "copied"]

COPY_EVERY_S = 30.0
"""Least seconds between two copies."""

_MOST_OF_THE_TIME = 0.05
_FIRST_S = 1.0  # between two looks at whether the study has begun, to make the first copy
_NAME, _BEFORE = "study.journal", "study.journal.before"

_log = logging.getLogger(__name__)


def adopt(store: Store, journal: Path, *, is_new: bool) -> str | None:
    """Makes the journal on this machine the newest there is, before anybody opens it.

    A journal only ever grows. If one is the beginning of the other, the longer is newer; if they
    part, the sweep went on elsewhere with what it had by then, and that counts.

    Args:
        store: of the sweep, in an object store.
        journal: on this machine.
        is_new: whether the sweep begins now: then a journal here is of one that is no more.

    Returns:
        What was done, as a line for the person who resumes; None for nothing.

    Raises:
        StorageError: the copy cannot be read.
    """
    here = _whole(journal)
    if is_new:
        _set_aside(journal)
        return None
    there = _complete(store.read_note(_NAME) or b"")
    if here.startswith(there):
        return None
    said = f"The study is taken from its copy in {store.location}."
    if here:
        said = f"The sweep went on elsewhere since it ran here: {said[0].lower()}{said[1:]}"
    if not there.startswith(here):
        _set_aside(journal)
        said += f" What was here is now {journal.with_name(_BEFORE)}."
    LocalFiles(journal.parent).put(journal.name, there)
    return said


class JournalCopy:
    """Copies the journal as it grows, beside whatever else this process does.

    Args:
        store: of the sweep.
        journal: on this machine.
        may: whether the sweep is still this process's to write.
        every_s: least seconds between two copies; they take a twentieth of the time at most.
    """

    def __init__(
        self,
        store: Store,
        journal: Path,
        may: Callable[[], bool] = lambda: True,
        *,
        every_s: float = COPY_EVERY_S,
    ) -> None:
        self._store, self._journal = store.hasty(), journal
        self._may, self._every_s = may, every_s
        self._copied_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal copy", daemon=True)
        self.failure: str | None = None
        """Why the last copy is older than the journal."""

    def begin(self) -> None:
        """From now on copies, until `end`."""
        self._thread.start()

    def end(self) -> None:
        """Copies what came since; nobody writes to the journal any more."""
        self._ended.set()
        self._thread.join()
        self._copy()

    def _run(self) -> None:
        pause = min(_FIRST_S, self._every_s)
        while not self._ended.wait(pause):
            begun = time.monotonic()
            self._copy()
            took = time.monotonic() - begun
            if self._copied_bytes:
                pause = max(self._every_s, took / _MOST_OF_THE_TIME)

    def _copy(self) -> None:
        try:
            content = _whole(self._journal)
            if len(content) == self._copied_bytes or not self._may():
                return
            self._store.write_note(_NAME, content)
        except (OSError, StorageError) as error:
            self.failure = f"{error}"
            _log.warning("the study's journal is not copied: %s", error)
        else:
            self._copied_bytes, self.failure = len(content), None


@contextlib.contextmanager
def copied(
    store: Store, journal: Path, may: Callable[[], bool] = lambda: True
) -> Iterator[JournalCopy | None]:
    """Copies the journal of a sweep in an object store for as long as it runs; others need not."""
    if store.is_local:
        yield None
        return
    copy = JournalCopy(store, journal, may)
    copy.begin()
    try:
        yield copy
    finally:
        copy.end()


def _whole(journal: Path) -> bytes:
    """What is in it by now, without a line that is being written."""
    try:
        return _complete(journal.read_bytes())
    except FileNotFoundError:
        return b""


def _complete(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _set_aside(journal: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        journal.replace(journal.with_name(_BEFORE))
