"""Precision, recall, density and coverage: is a sample where real ones are, and the reverse.

Each sample owns the open ball that reaches to its k-th nearest neighbour of its own kind.

    precision   share of generated samples in some real ball        Kynkaanniemi et al. 2019,
    recall      share of real samples in some generated ball        arXiv:1904.06991, sec. 3
    density     real balls that a generated sample is in, over k    Naeem et al. 2020,
    coverage    share of real balls with some generated sample      arXiv:2002.09797, sec. 3

A generator of few images has no recall and little coverage, one of noise no precision. Even equal
distributions have precision and recall far below 1 in many dimensions; their density is 1 on
average and their coverage, of N against M real samples, is 1 - prod_{i=1..k} (M - i) / (M + N - i)
whatever the distribution: .9688 for k = 5 of as many. The numbers are those of the package
`prdc`: strictly less, and no sample is a neighbour of itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["NeighbourScores", "Neighbours"]

# Distances at once: 2 MB, which a core's caches hold or nearly hold.
_CHUNK_VALUES = 2**18
# Of |x|^2 + |y|^2: some hundred roundings of |x|^2 + |y|^2 - 2 x.y, and next to nothing otherwise.
_TIE = 1e-13


class NeighbourScores(NamedTuple):
    """Of K members, [K] float64 each."""

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


class Neighbours:
    """Real samples with the balls to their k-th neighbours, found once.

    Args:
        features: [M, features], finite; with M <= k there are no balls and all is NaN.
        k: which neighbour, >= 1.
    """

    def __init__(self, features: Tensor, k: int = 5) -> None:
        features = features.double()
        # Distances stay; what their squares are rounded to becomes finer.
        self._mean = features.mean(0)
        self._real = features - self._mean
        self._k = k
        self._radii = _squared_radii(self._real, k)

    def __call__(self, features: Tensor) -> NeighbourScores:
        """Scores each member's samples.

        A member with a NaN or inf gets NaN and leaves the others as they are. Each member is by
        itself, with two megabytes of distances at once.

        Args:
            features: [K, N, features], N >= 1.

        Returns:
            Each in [0, 1], density in [0, M / k]; recall is NaN for N <= k.
        """
        scores = [self._scores(member.double() - self._mean) for member in features]
        empty = features.new_empty((0, 4), dtype=torch.float64)
        return NeighbourScores(*(torch.stack(scores) if scores else empty).unbind(1))

    def _scores(self, fake: Tensor) -> Tensor:
        radii = _squared_radii(fake, self._k)
        inside = fake.new_zeros(len(fake), dtype=torch.bool)
        balls, covered, recalled = (fake.new_zeros((), dtype=torch.int64) for _ in range(3))
        step = max(1, _CHUNK_VALUES // len(fake))
        for real, reach in zip(self._real.split(step), self._radii.split(step), strict=True):
            # Stretched by a hair, so that rounding makes none of two equal distances the less.
            distances = _squared_distances(real, fake, stretch=_TIE)
            within = distances < reach.unsqueeze(1)
            inside |= within.any(0)
            balls += within.sum()
            covered += within.any(1).sum()
            recalled += (distances < radii).any(1).sum()
        counts = torch.stack((inside.sum(), recalled, balls, covered)).double()
        n, m = len(fake), len(self._real)
        scores = counts / counts.new_tensor([n, m, n * self._k, m])
        told = torch.stack((self._told, radii.isfinite().all(), self._told, self._told))
        return torch.where(told & fake.isfinite().all(), scores, torch.nan)

    @property
    def _told(self) -> Tensor:
        return self._radii.isfinite().all()


def _squared_radii(x: Tensor, k: int) -> Tensor:
    """[N]: squared distance to the k-th nearest other sample; inf where there are too few."""
    if len(x) <= k:
        return x.new_full((len(x),), torch.inf)
    found, first = [], 0
    for rows in x.split(max(1, _CHUNK_VALUES // len(x))):
        distances = _squared_distances(rows, x)
        distances[:, first : first + len(rows)].fill_diagonal_(torch.inf)
        found.append(distances.topk(k, largest=False).values[:, -1])
        first += len(rows)
    return torch.cat(found)


def _squared_distances(x: Tensor, y: Tensor, *, stretch: float = 0.0) -> Tensor:
    norms = (x.square().sum(1).unsqueeze(1) + y.square().sum(1)).mul_(1 + stretch)
    return torch.addmm(norms, x, y.T, alpha=-2)
