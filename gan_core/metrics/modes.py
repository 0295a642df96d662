"""How samples are spread over the modes of the data, the classes that a classifier sees.

The count of modes with at least one sample is not offered: a classifier's few mistakes fill every
mode of a generator that has collapsed to one.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mode_entropy", "mode_kl", "mode_shares", "modes_1pct"]


def mode_shares(classes: Tensor, count: int) -> Tensor:
    """The share of samples in each class.

    Args:
        classes: [..., N], int64, in [0, count), N >= 1.
        count: number of classes.

    Returns:
        [..., count], float64, each in [0, 1], summing to 1.
    """
    seen = classes.unsqueeze(-1) == torch.arange(count, device=classes.device)
    return seen.sum(-2).double() / classes.shape[-1]


def mode_kl(shares: Tensor, *, data: Tensor) -> Tensor:
    """KL(samples || data) = sum_k p_k ln(p_k / q_k), in nats.

    0 where the shares are the data's; ln(K / k) for equal shares of k of K equal modes; inf for
    samples in a mode that the data does not have; NaN for NaN.

    Args:
        shares: [..., K], p.
        data: [K], q.

    Returns:
        [...], >= 0.
    """
    ratio = torch.where(shares == 0, 1, shares / data)
    # Equal shares may come out at -1e-17.
    return torch.xlogy(shares, ratio).sum(-1).clamp(min=0)


def mode_entropy(shares: Tensor) -> Tensor:
    """exp(-sum_k p_k ln p_k), the effective number of modes: in [1, K], exactly 1 for one mode.

    Args:
        shares: [..., K]; NaN gives NaN.

    Returns:
        [...].
    """
    return (-torch.xlogy(shares, shares).sum(-1)).exp()


def modes_1pct(shares: Tensor) -> Tensor:
    """Number of modes with at least 1% of the samples.

    Args:
        shares: [..., K], float64; NaN gives NaN.

    Returns:
        [...], float64.
    """
    modes = (shares >= 0.01).sum(-1).to(shares.dtype)
    return torch.where(shares.isnan().any(-1), torch.nan, modes)
