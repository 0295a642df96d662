"""How samples are spread over the modes of the data: classes that a classifier sees, or Gaussians.

A mode's share is of all samples. With a classifier they sum to 1. With a mixture only samples of
high quality count, near enough to a mode to have come from it, so the shares sum to `hq_share`.

The count of modes with at least one sample is offered where it is published (mixtures, stacked
MNIST), and not for ten classes: there a classifier's few mistakes fill every mode of a generator
that has collapsed to one. Of stacked MNIST's 1,000 modes they fill some 35 at 26,000 samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_core.mixtures import Mixture

__all__ = [
    "NO_MODE",
    "class_agreement",
    "hq_modes",
    "hq_share",
    "mode_entropy",
    "mode_kl",
    "mode_shares",
    "modes_1pct",
    "modes_hit",
]

NO_MODE = -1
"""The mode of a sample that is of none."""


def hq_modes(points: Tensor, mixture: Mixture) -> Tensor:
    """The mode nearest to each point, if the point is of high quality.

    That is, strictly within `mixture.radius_stds` standard deviations of the mode's mean
    (VEEGAN, Srivastava et al. 2017, arXiv:1705.07761; PacGAN, Lin et al. 2018, arXiv:1712.04086,
    sec. 4.1, with code that compares strictly). Distances are in float64 and are not expanded
    into products, whose rounding a mode of std 0.01 would feel.

    Args:
        points: [..., dimensions].
        mixture: of K modes, on the points' device.

    Returns:
        [...], int64, in [0, K), or NO_MODE; NO_MODE too for a point with a NaN or inf.
    """
    distances = torch.cdist(
        points.double(), mixture.means, compute_mode="donot_use_mm_for_euclid_dist"
    )
    nearest, modes = distances.min(-1)
    return torch.where(nearest < mixture.radius_stds * mixture.std, modes, NO_MODE)


def mode_shares(modes: Tensor, count: int) -> Tensor:
    """The share of samples in each mode.

    Args:
        modes: [..., N], int64, in [0, count) or NO_MODE, N >= 1.
        count: number of modes.

    Returns:
        [..., count], float64, each in [0, 1], summing to 1 less the share of NO_MODE.
    """
    seen = modes.unsqueeze(-1) == torch.arange(count, device=modes.device)
    return seen.sum(-2).double() / modes.shape[-1]


def mode_kl(shares: Tensor, *, data: Tensor) -> Tensor:
    """KL(samples || data) = sum_k p_k ln(p_k / q_k), in nats, of the samples that have a mode.

    0 where they are spread as the data is; ln(K / k) for equal shares of k of K equal modes; inf
    for samples in a mode that the data does not have; NaN for NaN. A generator none of whose
    samples has a mode scores ln(K), as one mode of K does: the worst that K equal modes allow,
    and finite, so that a search can still rank it.

    Args:
        shares: [..., K], in proportion to p.
        data: [K], q.

    Returns:
        [...], >= 0.
    """
    p, none = _normalised(shares)
    ratio = torch.where(p == 0, 1, p / data)
    # Equal shares may come out at -1e-17.
    kl = torch.xlogy(p, ratio).sum(-1).clamp(min=0)
    return torch.where(none, math.log(shares.shape[-1]), kl)


def mode_entropy(shares: Tensor) -> Tensor:
    """exp(-sum_k p_k ln p_k), the effective number of modes of the samples that have one.

    In [1, K], exactly 1 for one mode; 0 where no sample has a mode.

    Args:
        shares: [..., K], in proportion to p; NaN gives NaN.

    Returns:
        [...].
    """
    p, none = _normalised(shares)
    return torch.where(none, 0, (-torch.xlogy(p, p).sum(-1)).exp())


def modes_1pct(shares: Tensor) -> Tensor:
    """Number of modes with at least 1% of the samples.

    Args:
        shares: [..., K], float64; NaN gives NaN.

    Returns:
        [...], float64.
    """
    return _count(shares, shares >= 0.01)


def modes_hit(shares: Tensor) -> Tensor:
    """Number of modes with at least one sample, as VEEGAN and PacGAN count them.

    Args:
        shares: [..., K], float64; NaN gives NaN.

    Returns:
        [...], float64.
    """
    return _count(shares, shares > 0)


def hq_share(shares: Tensor) -> Tensor:
    """The share of samples that have a mode.

    Args:
        shares: [..., K], float64; NaN gives NaN.

    Returns:
        [...], in [0, 1].
    """
    return shares.sum(-1)


def class_agreement(modes: Tensor, labels: Tensor) -> Tensor:
    """How many samples of a conditional generator are seen to be of the class asked for.

    Args:
        modes: int64 [K, N], the classes that the classifier sees.
        labels: int64 [N], the classes asked for.

    Returns:
        [K, 2] float64 in [0, 1]: the share over all samples, and over those of the class where it
        is least. A perfect generator reaches what the classifier reaches on real samples.
    """
    agrees = (modes == labels).double()
    count = torch.bincount(labels)
    asked = count > 0
    hits = torch.zeros(len(modes), len(count), dtype=torch.float64, device=modes.device)
    hits.index_add_(1, labels, agrees)
    by_class = (hits / count)[:, asked]
    return torch.stack((agrees.mean(dim=1), by_class.amin(dim=1)), dim=1)


def _normalised(shares: Tensor) -> tuple[Tensor, Tensor]:
    """p, [..., K], summing to 1 (or 0 where there is nothing); and where that is, [...]."""
    total = shares.sum(-1, keepdim=True)
    none = total == 0
    return shares / torch.where(none, 1, total), none.squeeze(-1)


def _count(shares: Tensor, which: Tensor) -> Tensor:
    return torch.where(shares.isnan().any(-1), torch.nan, which.sum(-1).to(shares.dtype))
