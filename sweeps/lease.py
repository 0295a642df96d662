"""One driver to a sweep in an object store: a note there that says who runs it, kept fresh.

An object store has no locks. Whoever wants the sweep writes a note, waits for a moment, and has it
if the note is still theirs; from then on it is written again and again, and whoever finds it fresh
leaves the sweep alone. Its age is told by the store's own clock.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gan_core.config import ConfigError
from sweeps.files import StorageError
from sweeps.lock import SweepLock
from sweeps.mistakes import SweepFailure
from sweeps.store import Store

__all__ = ["BEAT_S", "STALE_S", "Holder", "Lease", "held", "running"]

BEAT_S = 10.0
"""Seconds between two times that the note is written."""
STALE_S = 60.0
"""Seconds without, after which another machine may take the sweep over."""

_SETTLE_S = 2.0  # longer than two writers who begin at the same time are apart
_NAME, _CLOCK = ".lock", ".clock"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """Who runs a sweep, as the note says."""

    host: str
    pid: int
    nonce: str
    """Of this run and no other."""
    boot: str = ""
    """Which start of the machine."""
    began: str = ""
    """When the process did, in the machine's own ticks: numbers of processes come again."""

    @property
    def is_dead(self) -> bool:
        """Whether it ran on this machine and is gone: it need not be waited for."""
        if (self.host, self.boot) != (socket.gethostname(), _boot()) or not self.boot:
            return False
        return _began(self.pid) != self.began

    def __str__(self) -> str:
        """For messages."""
        return f"process {self.pid} of {self.host}"


@contextlib.contextmanager
def held(store: Store) -> Iterator[Lease | None]:
    """The sweep is this process's alone, on this machine and, in an object store, on all others.

    Yields:
        The lease, if there is one.

    Raises:
        ConfigError: another process runs the sweep.
        SweepFailure: its home or its storage cannot be written to.
    """
    if store.is_local:
        with SweepLock(store.home):
            yield None
        return
    try:
        store.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweepFailure(f"{store.home}: cannot be made: {error.strerror}") from None
    with SweepLock(store.home, store.name), Lease(store) as lease:
        yield lease


class Lease:
    """Held by the process that runs a sweep in an object store.

    Args:
        store: of the sweep.
        beat_s: seconds between two times that the note is written.
        stale_s: seconds without, after which it counts no more.
        settle_s: seconds to wait for others who want it at the same moment.

    Raises:
        ConfigError: on entering, if another process runs the sweep.
        StorageError: on entering, if the note cannot be written.
    """

    def __init__(
        self,
        store: Store,
        *,
        beat_s: float = BEAT_S,
        stale_s: float = STALE_S,
        settle_s: float = _SETTLE_S,
    ) -> None:
        self._store, self._beat_s, self._stale_s = store.hasty(), beat_s, stale_s
        self._settle_s = settle_s
        self._own = Holder(
            socket.gethostname(), os.getpid(), secrets.token_hex(8), _boot(), _began(os.getpid())
        )
        self._ended = threading.Event()
        self.taken_over: str | None = None
        """Who ran the sweep before and was not heard of any more, for the person who begins."""
        self.lost: str | None = None
        """Who took the sweep over from us, while we were not heard of: we must stop."""

    def __enter__(self) -> Self:
        self._take()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(StorageError):
            if _holder(self._store) == self._own:
                self._store.drop_note(_NAME)

    def _take(self) -> None:
        while True:
            before = _holder(self._store)
            if before is not None and not before.is_dead:
                age = _age_s(self._store)
                if age is not None and age < self._stale_s:
                    raise self._refusal(before, age)
                self.taken_over = f"{before}, not heard of for {age or self._stale_s:.0f} seconds"
            looked = time.monotonic()
            self._write()
            written = time.monotonic()
            time.sleep(self._settle_s)
            # One who looked before we wrote has written by now, unless they are as slow as this.
            if written - looked > self._settle_s:
                self._store.drop_note(_NAME)
                time.sleep(self._beat_s + self._settle_s)  # whoever has it writes it again
                continue
            now = _holder(self._store)
            if now == self._own:
                return
            if now is not None:
                raise self._refusal(now, 0.0)

    def _refusal(self, other: Holder, age: float) -> ConfigError:
        right = (
            f"is being run by {other}, heard of {age:.0f} seconds ago: stop that first, or wait "
            f"until it has not been heard of for {self._stale_s:.0f} seconds"
        )
        return ConfigError("SWEEP", self._store.name, right)

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_s):
            try:
                now = _holder(self._store)
                if now is not None and now != self._own:
                    self.lost = f"{now}"
                    return
                self._write()
            except StorageError as error:  # results cannot be written either, and those decide
                _log.warning("the sweep's lock is not renewed: %s", error)

    def _write(self) -> None:
        self._store.write_note(_NAME, json.dumps(asdict(self._own)).encode())


def running(store: Store, *, stale_s: float = STALE_S) -> Holder | None:
    """Who runs a sweep in an object store, by its note; writes nothing.

    Raises:
        StorageError: the storage cannot be asked.
    """
    holder = _holder(store)
    if holder is None or holder.is_dead:
        return None
    changed = store.changed_ns().get(_NAME)
    # By this machine's clock, which will do to be shown.
    is_fresh = changed is not None and time.time() - changed / 1e9 < stale_s
    return holder if is_fresh else None


def _holder(store: Store) -> Holder | None:
    content = store.read_note(_NAME)
    try:
        return None if content is None else Holder(**json.loads(content))
    except (TypeError, ValueError):  # damaged, or another version's
        return Holder("another machine", 0, "")


def _age_s(store: Store) -> float | None:
    """Seconds since the note was written, by the store's clock; None if it is gone."""
    clock = f"{_CLOCK}-{secrets.token_hex(4)}"
    store.write_note(clock, b"")
    changed = store.changed_ns()
    store.drop_note(clock)
    if _NAME not in changed or clock not in changed:
        return None
    return max(0.0, (changed[clock] - changed[_NAME]) / 1e9)


def _boot() -> str:
    return _text(Path("/proc/sys/kernel/random/boot_id"))


def _began(pid: int) -> str:
    """The 22nd field of `/proc/PID/stat`, see proc(5); "" if there is no such process."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
