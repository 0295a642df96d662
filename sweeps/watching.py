"""Sees when the files of a sweep change. Free of pandas."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sweeps.lease import running
from sweeps.lock import is_locked
from sweeps.store import StorageError, Store

__all__ = ["each_change", "is_running"]

_POLL_S, _REMOTE_POLL_S = 0.5, 5.0


def is_running(store: Store) -> bool:
    """Whether some process runs the sweep: of an object store's, also one of another machine.

    Raises:
        StorageError: the storage cannot be asked.
    """
    return is_locked(store.home) or (not store.is_local and running(store) is not None)


def each_change(store: Store, every_s: float) -> Iterator[None]:
    """Yields at once, and then whenever its results have changed or its run has begun or ended.

    Args:
        store: of the sweep.
        every_s: seconds between two at least; what changed in between comes together.
    """
    seen = None
    while True:
        begun = time.monotonic()
        now = seen
        # A store that does not answer for a while may do so again.
        with contextlib.suppress(*(() if store.is_local else (StorageError,))):
            now = is_running(store), store.state()
        if now != seen:
            seen = now
            yield
            time.sleep(max(0.0, begun + every_s - time.monotonic()))
        else:
            time.sleep(_POLL_S if store.is_local else _REMOTE_POLL_S)
