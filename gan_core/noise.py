"""Random streams that depend on (seed, purpose, step, substep) and on nothing else.

Counter-based: element i of a stream is a hash of the stream's key and i, so a member draws the
same numbers in any slot, beside any neighbours and under any padding, and nothing but tensor
operations runs, which a CUDA graph can hold. The hash is SplitMix64 (Steele, Lea and Flood 2014,
"Fast splittable pseudorandom number generators"; reference: Vigna, splitmix64.c): element i is
the i-th output of that generator started at the stream's key.
"""

from __future__ import annotations

import functools
from enum import IntEnum

import torch
from torch import Tensor

from gan_core.config import Noise
from gan_core.kernels import draws

__all__ = [
    "Purpose",
    "batch_indices",
    "latents",
    "normals",
    "splitmix64",
    "stream_key",
    "stream_keys",
    "stream_roots",
    "uniforms",
]

_ROW_STRIDE = 1 << 16  # counters between two rows, or as many as a longer row has
_LANES = 32  # float32 elements that torch's CPU kernels take at once; see _counters


class Purpose(IntEnum):
    """What a stream is drawn for."""

    BATCH = 0
    LATENT = 1
    INTERPOLATION = 2
    EVALUATION = 3
    PERTURBATION = 4
    NETWORK = 5
    REAL_NOISE = 6
    FAKE_NOISE = 7
    FAKE_NOISE_OF_G = 8


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_GAMMA = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's own keeps the sign."""
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)).mul_(_MIX_1)
    x.bitwise_xor_(_shift_right(x, 27)).mul_(_MIX_2)
    return x.bitwise_xor_(_shift_right(x, 31))


def splitmix64(key: Tensor, counter: Tensor) -> Tensor:
    """64 random bits for each counter: output number `counter` (from 0) of SplitMix64 at `key`.

    Args:
        key: int64, broadcastable against counter.
        counter: int64, >= 0.

    Returns:
        int64 of the broadcast shape, uniform over all 2**64 patterns.
    """
    return _mix(key + (counter + 1) * _GAMMA)


def stream_key(seed: Tensor, purpose: Purpose, step: Tensor, substep: Tensor) -> Tensor:
    """The key of one stream for each member.

    Args:
        seed: int64 [members], each GAN's own seed.
        purpose: what is drawn.
        step: int64 [members], G updates made so far by each member.
        substep: int64 [members], D updates made so far within the step.

    Returns:
        int64 [members].
    """
    return stream_keys(stream_roots(seed)[purpose], step, substep)


def stream_roots(seed: Tensor) -> Tensor:
    """What the keys of all a GAN's streams begin with: int64 [purposes, members].

    Args:
        seed: int64 [members], each GAN's own seed.
    """
    purposes = torch.arange(len(Purpose), dtype=torch.int64, device=seed.device)
    return splitmix64(seed, purposes[:, None])


def stream_keys(roots: Tensor, step: Tensor, substep: Tensor) -> Tensor:
    """The keys of every purpose's stream, int64 [purposes, members]; see `stream_key`.

    Args:
        roots: int64 [purposes, members], from `stream_roots`.
        step: int64 [members].
        substep: int64 [members].
    """
    return splitmix64(splitmix64(roots, step), substep)


def _row_stride(columns: int) -> int:
    """Counters from one row to the next."""
    return max(_ROW_STRIDE, columns)


@functools.cache  # all of them for good: a CUDA graph reads them at their addresses
def _counters(rows: int, columns: int, device: torch.device) -> Tensor:
    """Counters of a [rows, columns] draw, flat, filled up to whole vector registers.

    log, sin and cos have a scalar path for the elements that fill no register, and it differs
    in the last bit: unless each member fills whole registers its draws depend on its slot.
    """
    row = torch.arange(rows, dtype=torch.int64, device=device)[:, None] * _row_stride(columns)
    grid = (row + torch.arange(columns, dtype=torch.int64, device=device)).flatten()
    return torch.nn.functional.pad(grid, (0, -grid.numel() % _LANES))


def _bits(key: Tensor, rows: int, columns: int) -> Tensor:
    return splitmix64(key[:, None], _counters(rows, columns, key.device))


def uniforms(key: Tensor, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Uniform numbers in [0, 1).

    Args:
        key: int64 [members].
        rows: draws for each member.
        columns: numbers in a draw. Up to 65,536 a number depends on its row and column only.
        dtype: float32 (24 random bits) or float64 (53).

    Returns:
        [members, rows, columns].
    """
    digits = 53 if dtype == torch.float64 else 24
    values = _shift_right(_bits(key, rows, columns), 64 - digits).to(dtype).mul_(2.0**-digits)
    return values[:, : rows * columns].view(-1, rows, columns)


def normals(key: Tensor, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Standard normals by Box and Muller (1958): columns 2p and 2p+1 come from one hash.

    Args:
        key: int64 [members].
        rows: draws for each member.
        columns: numbers in a draw.
        dtype: of the result.

    Returns:
        [members, rows, columns].
    """
    pairs = (columns + 1) // 2
    if draws.is_suited(key, dtype):
        both = draws.normals(
            key.contiguous(), rows, pairs, row_stride=_row_stride(pairs), lanes=_LANES
        )
        return both[..., :columns]
    bits = _bits(key, rows, pairs)
    radius = _shift_right(bits, 32).add_(1).to(dtype).mul_(2.0**-32).log_().mul_(-2).sqrt_()
    angle = bits.bitwise_and_(0xFFFFFFFF).to(dtype).mul_(2.0**-32 * 2 * torch.pi)
    both = torch.stack((angle.cos().mul_(radius), angle.sin().mul_(radius)), dim=-1)
    return both.flatten(1)[:, : rows * pairs * 2].view(-1, rows, pairs * 2)[..., :columns]


def latents(
    key: Tensor, rows: int, columns: int, *, noise: Noise, lengths: Tensor, dtype: torch.dtype
) -> Tensor:
    """Latent vectors for each member, zero beyond the member's own latent dimension.

    Args:
        key: int64 [members].
        rows: latent vectors for each member.
        columns: the longest latent dimension.
        noise: standard normal, or uniform in [-1, 1).
        lengths: int64 [members], each member's latent dimension.
        dtype: of the result.

    Returns:
        [members, rows, columns].
    """
    match noise:
        case Noise.NORMAL:
            z = normals(key, rows, columns, dtype)
        case Noise.UNIFORM:
            z = uniforms(key, rows, columns, dtype).mul_(2).sub_(1)
    beyond = torch.arange(columns, device=key.device) >= lengths[:, None]
    return z.masked_fill_(beyond[:, None, :], 0)


def batch_indices(key: Tensor, rows: int, population: int) -> Tensor:
    """Indices of a batch drawn with replacement.

    Args:
        key: int64 [members].
        rows: batch size.
        population: number of images, below 2**31. The bias of the multiply-and-shift (Lemire
            2019, arXiv:1805.10941, without its rejection step) is below population / 2**32.

    Returns:
        int64 [members, rows], in [0, population).
    """
    bits = _bits(key, rows, 1)[:, :rows]
    return _shift_right(bits, 32).mul_(population).bitwise_right_shift_(32)
