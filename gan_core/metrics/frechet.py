"""Frechet distance between Gaussians, for many members against one reference.

    d^2 = |m - m_r|^2 + tr(S) + tr(R) - 2 tr((S R)^(1/2))

Dowson & Landau 1982; on features of samples Heusel et al. 2017, arXiv:1706.08500, eq. 6. The last
trace is taken through B^T S B with R = B B^T, which has the same eigenvalues as S R but for zeros
and is symmetric, so they are real and one batched `eigvalsh` finds them all.

The estimate from N samples is too high: for two samples of N from N(0, I_d) by about
2d/N + d(d+1)/(2N). Distances compare only at the same N.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Moments", "Reference", "feature_spread", "frechet_distance", "moments"]


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of features, for any number of members."""

    mean: Tensor
    """[..., features], float64."""
    covariance: Tensor
    """[..., features, features], float64."""

    @property
    def finite(self) -> Tensor:
        """[...], bool: whether every entry is."""
        sound = self.covariance.isfinite().flatten(-2).all(-1)
        return sound & self.mean.isfinite().all(-1)


def moments(features: Tensor) -> Moments:
    """Mean and covariance (divided by N - 1), in float64; NaN where a feature is not finite.

    Args:
        features: [..., N, features], N >= 2.
    """
    features = features.double()
    mean = features.mean(-2)
    centred = features - mean.unsqueeze(-2)
    return Moments(mean, centred.mT @ centred / (features.shape[-2] - 1))


class Reference:
    """The reference's Gaussian, with the root of its covariance taken once.

    Args:
        statistics: of a single sample: mean [features], covariance [features, features]; finite.
    """

    def __init__(self, statistics: Moments) -> None:
        self.mean, self.covariance = statistics.mean, statistics.covariance
        self.trace = self.covariance.trace()
        values, vectors = torch.linalg.eigh(self.covariance)
        # Constant features, as a quarter of mnist's are, have eigenvalues of some 1e-17 instead
        # of 0. With them the distance between halves of mnist was off by 2e-6 of itself.
        sound = values > len(values) * torch.finfo(values.dtype).eps * values[-1]
        self.root = vectors[:, sound] * values[sound].sqrt()
        """[features, rank]: R = root root^T."""


def frechet_distance(statistics: Moments, reference: Reference) -> Tensor:
    """Squared Frechet distance of each member to the reference.

    A member with a NaN or inf gets NaN; the others' values are bitwise what they are with that
    member sound.

    Args:
        statistics: mean [..., features], covariance [..., features, features].
        reference: of as many features.

    Returns:
        [...], float64, >= 0.
    """
    finite, covariance = statistics.finite, statistics.covariance
    trace = _trace(covariance)
    # LAPACK refuses the whole batch for one NaN, so a broken member is decomposed as the identity.
    identity = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    sound = torch.where(finite[..., None, None], covariance, identity)
    inner = reference.root.mT @ sound @ reference.root
    roots = torch.linalg.eigvalsh((inner + inner.mT) / 2).clamp(min=0).sqrt().sum(-1)
    shift = (statistics.mean - reference.mean).square().sum(-1)
    # Equal Gaussians may come out at -1e-14.
    distance = (shift + trace + reference.trace - 2 * roots).clamp(min=0)
    return torch.where(finite, distance, torch.nan)


def feature_spread(statistics: Moments, reference: Reference) -> Tensor:
    """sqrt(tr(S) / tr(R)): near 1 is right, 0 is a collapse to one image.

    Args:
        statistics: of each member; a NaN or inf in the mean or the covariance gives NaN.
        reference: of as many features.

    Returns:
        [...], float64, >= 0.
    """
    spread = (_trace(statistics.covariance) / reference.trace).sqrt()
    return torch.where(statistics.finite, spread, torch.nan)


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1)
