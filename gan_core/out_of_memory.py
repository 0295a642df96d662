"""Memory that ran out, and how it shows."""

from __future__ import annotations

import re

import torch

__all__ = ["out_of_memory"]

_SHOWN_CHARACTERS = 160

# torch raises plain RuntimeErrors on the CPU, and where CUDA's libraries want memory of their own.
_MESSAGES = re.compile(
    r"can't allocate memory|not enough memory|CUDA error: out of memory"
    r"|_STATUS_ALLOC_FAILED|can't start new thread",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> str | None:
    """What ran out, in one line; None where the error has nothing to do with memory.

    Args:
        error: whatever was raised; those that it was raised from are looked at too, since a
            network of a user's own that finds no memory is reported as one that fails.
    """
    seen: BaseException | None = error
    while seen is not None:
        if _is_of_memory(seen):
            text = " ".join(str(seen).split())
            short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
            return f"{type(seen).__name__}: {short}" if short else type(seen).__name__
        seen = seen.__cause__ or seen.__context__
    return None


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_MESSAGES.search(str(error)))
