"""Sees when the files of a sweep change. Free of pandas."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from sweeps.lock import is_locked
from sweeps.naming import CONFIG_NAME

__all__ = ["each_change"]

_POLL_S = 0.5


def each_change(directory: Path, every_s: float) -> Iterator[None]:
    """Yields at once, and then whenever its results have changed or its run has begun or ended.

    Args:
        directory: of the sweep.
        every_s: seconds between two at least; what changed in between comes together.
    """
    seen = None
    while True:
        begun = time.monotonic()
        now = _state(directory)
        if now != seen:
            seen = now
            yield
            time.sleep(max(0.0, begun + every_s - time.monotonic()))
        else:
            time.sleep(_POLL_S)


def _state(directory: Path) -> tuple[bool, frozenset[tuple[str, int, int]]]:
    """Whether it runs, and names, sizes and times of all that analysis reads."""
    files = [directory / CONFIG_NAME, *directory.glob("*/[!.]*.parquet")]
    found = set()
    for path in files:
        # Parts may be gone between the listing and the look, as in a compaction.
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found.add((str(path), status.st_size, status.st_mtime_ns))
    return is_locked(directory), frozenset(found)
