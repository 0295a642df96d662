"""Memory that is no longer needed, given back."""

from __future__ import annotations

import ctypes
import gc

__all__ = ["free_memory", "trim_heap"]


def free_memory() -> None:
    """Gives back what nobody refers to any more, from cycles and from the allocators' stocks."""
    import torch  # who only trims the heap has none

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim_heap()


def trim_heap() -> None:
    """Gives the system what the C library holds; with another one than glibc nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
