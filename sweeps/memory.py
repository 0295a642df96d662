"""Memory that is no longer needed, given back."""

from __future__ import annotations

import gc

import torch

from sweeps.heap import trim_heap

__all__ = ["free_memory"]


def free_memory() -> None:
    """Gives back what nobody refers to any more, from cycles and from the allocators' stocks."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim_heap()
