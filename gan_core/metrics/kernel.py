"""Kernel distance between samples and a reference: no Gaussian is assumed, and it is unbiased.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),    k(x, y) = (x . y / d + 1)^3

over pairs of two different samples x of the generator and y of the reference, of d features
(Binkowski et al. 2018, arXiv:1801.01401, sec. 4: the KID). They estimate it on many subsets of
1,000 and average; here all samples are one. Unlike the Frechet distance its expectation does not
depend on how many there are; it is 0 for equal distributions, so that an estimate may be negative.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["KernelReference", "kernel_distance"]

# Kernel values at once: 2 MB, which a core's caches hold or nearly hold.
_CHUNK_VALUES = 2**18


class KernelReference:
    """The reference's features, and their part of the distance summed up once.

    Args:
        features: [M, features], M >= 2, finite.
    """

    def __init__(self, features: Tensor) -> None:
        self.features = features.double()
        self.within = _within(self.features)


def kernel_distance(features: Tensor, reference: KernelReference) -> Tensor:
    """The unbiased squared distance of each member to the reference.

    A member with a NaN or inf, or so large that the cube overflows, gets NaN and leaves the others
    as they are. Each member is by itself, with eight megabytes of the kernel's values at once.

    Args:
        features: [K, N, features].
        reference: of as many features.

    Returns:
        [K], float64; NaN for N < 2.
    """
    one_by_one = [_distance(member.double(), reference) for member in features]
    return torch.stack(one_by_one) if one_by_one else features.new_empty(0, dtype=torch.float64)


def _distance(x: Tensor, reference: KernelReference) -> Tensor:
    across = _sum(x, reference.features) / (len(x) * len(reference.features))
    distance = _within(x) + reference.within - 2 * across
    # inf - inf is NaN, but inf alone can stay.
    return torch.where(distance.isfinite(), distance, torch.nan)


def _within(x: Tensor) -> Tensor:
    """The kernel's mean over pairs of different samples: NaN, as 0 / 0, of one."""
    diagonal = (x.square().mean(-1) + 1).pow(3).sum()
    pairs = len(x) * (len(x) - 1)
    return (_sum(x, x) - diagonal) / pairs if pairs else diagonal.new_full((), torch.nan)


def _sum(x: Tensor, y: Tensor) -> Tensor:
    """Of the kernel over all pairs."""
    total = x.new_zeros(())
    for rows in x.split(max(1, _CHUNK_VALUES // len(y))):
        kernel = (rows @ y.T).div_(x.shape[-1]).add_(1)
        total += (kernel * kernel).mul_(kernel).sum()
    return total
