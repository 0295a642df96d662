"""What is built of this folder's C when gansweep is installed, if a C compiler is there."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from enum import IntEnum
from typing import Any

from torch import Tensor

__all__ = ["Instructions", "address", "best_instructions", "library", "why_absent"]

_VERSION = 3  # of what mlp.c says: what was built of other sources is not used

_LONG, _POINTER, _INT, _FLOAT = ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_float
_ARGUMENTS = {
    "forward": (_INT, _POINTER),
    "backward": (_INT, _POINTER, _POINTER, _POINTER),
    "descend": (_LONG, _LONG, *[_POINTER] * 8, _FLOAT, _POINTER, _POINTER),
    "box_muller_uniforms": (_LONG, _POINTER, *[_LONG] * 4, _POINTER, _POINTER),
    "box_muller_normals": (*[_LONG] * 4, *[_POINTER] * 4),
}


class Instructions(IntEnum):
    """What a processor can calculate with; the numbers are mlp.c's."""

    NONE = 0
    AVX2 = 2
    AVX512 = 512
    AVX512_BF16 = 516
    """Of bfloat16 too; not said of processors with matrix units, for which oneDNN is faster."""


def library() -> Any:
    """The functions in C, or None where they were not built or cannot be loaded."""
    return _loaded()[0]


def why_absent() -> str | None:
    """Why there is no library, and what helps; None if there is one."""
    return _loaded()[1]


@functools.cache
def _loaded() -> tuple[Any, str | None]:
    again = "install gansweep again"
    found = importlib.util.find_spec("gan_core.kernels._kernels")
    if found is None or found.origin is None:
        return None, f"gan_core's C was not compiled: {again}, with GCC"
    try:
        loaded = ctypes.CDLL(found.origin)
        if loaded.version() != _VERSION:
            return None, f"gan_core's C was compiled of other sources: {again}"
        for name, arguments in _ARGUMENTS.items():
            getattr(loaded, name).argtypes = arguments
    except (OSError, AttributeError) as error:
        return None, f"what was compiled of gan_core's C cannot be loaded ({error}): {again}"
    return loaded, None


@functools.cache
def best_instructions() -> Instructions:
    """What this processor's networks are run with; NONE where nothing was built for it."""
    loaded = library()
    return Instructions.NONE if loaded is None else Instructions(loaded.instructions())


def address(tensor: Tensor | None) -> int | None:
    """Where a tensor's numbers begin, for a function in C."""
    return None if tensor is None else tensor.data_ptr()
