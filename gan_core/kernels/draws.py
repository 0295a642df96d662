"""Standard normals with what is no logarithm, root or sine in C: the same numbers bit for bit."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.kernels.library import address, library

__all__ = ["is_suited", "normals"]


def is_suited(key: Tensor, dtype: torch.dtype) -> bool:
    """Whether `normals` draws these: built, float32 on a CPU."""
    return dtype is torch.float32 and key.device.type == "cpu" and library() is not None


def normals(key: Tensor, rows: int, pairs: int, *, row_stride: int, lanes: int) -> Tensor:
    """As `gan_core.noise.normals`, of whole pairs.

    Args:
        key: int64 [members], dense.
        rows: draws for each member.
        pairs: of numbers in a draw.
        row_stride: counters between two rows.
        lanes: what a member's numbers are filled up to a multiple of, for torch's logarithm and
            sines, which end differently.

    Returns:
        float32 [members, rows, 2 * pairs].
    """
    members, taken = len(key), rows * pairs
    stride = -(-taken // lanes) * lanes
    radius, angle = key.new_empty((2, members, stride), dtype=torch.float32).unbind()
    for filled, value in ((radius, 1), (angle, 0)):
        filled[:, taken:] = value
    library().box_muller_uniforms(
        members, address(key), rows, pairs, row_stride, stride, address(radius), address(angle)
    )
    radius.log_().mul_(-2).sqrt_()
    cosine, sine = angle.cos(), angle.sin()
    z = radius.new_empty(members, rows, 2 * pairs)
    library().box_muller_normals(
        members, rows, pairs, stride, *map(address, (radius, cosine, sine, z))
    )
    return z
