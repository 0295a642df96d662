"""Memory that is freed and wanted again at every step stays with the process."""

from __future__ import annotations

import ctypes
import functools

__all__ = ["keep_freed_memory"]

# <malloc.h>. Their upper bounds: above 32 MB, glibc's own, every tensor of a large cohort would
# still be mapped afresh.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST = 2**30


@functools.cache
def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed, up to 1 GiB of it; once for the process.

    By default it gives large blocks back and maps them afresh, and the kernel clears them page by
    page: a quarter of the time of a step (`docs/performance.md`).

    Returns:
        Whether it was heard: with another C library nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; not even POSIX
        return False
    return all(mallopt(name, _MOST) == 1 for name in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
