"""Features for data without labels: a linear projection fitted to it.

Half of the features are the data's first principal components; the other half are random
directions in what these leave over, where a generator's noise and blur show. Each is divided by
its standard deviation in the data, so that all count alike. A linear projection sees means and
covariances of pixels, and no modes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.data import Dataset

__all__ = ["Projection", "fit_projection", "principal_directions"]

_FEATURES = 64
_FIT_SAMPLES = 4096
_SEED = 0
# A feature's least standard deviation, over the root mean square of all dimensions': where the data
# has no width at all, rounding must not be blown up.
_LEAST_STD = 0.01


class Projection:
    """(x - mean) @ directions, for flattened x.

    Args:
        mean: [dimensions], float32.
        directions: [dimensions, features], float32.
    """

    def __init__(self, mean: Tensor, directions: Tensor) -> None:
        self._mean, self._directions = mean, directions
        self.features_dim = directions.shape[1]

    def __call__(self, samples: Tensor) -> Tensor:
        """Features of [N, ...], float32: [N, features]."""
        return (samples.flatten(1) - self._mean) @ self._directions


def fit_projection(dataset: Dataset) -> dict[str, Tensor]:
    """Fits the projection to up to 4,096 samples; its random numbers are its own.

    Args:
        dataset: of any kind.

    Returns:
        "mean" and "directions" of a `Projection`, float32, on the CPU.
    """
    random = torch.Generator().manual_seed(_SEED)
    chosen = torch.randperm(len(dataset), generator=random)[:_FIT_SAMPLES].to(dataset.device)
    x = dataset.batch(chosen).flatten(1)
    mean = x.mean(0)
    x = x - mean
    n, dimensions = x.shape
    count = min(_FEATURES, dimensions)
    principal = principal_directions(x, min((count + 1) // 2, n - 1), random)
    rest = torch.randn(dimensions, count - principal.shape[1], generator=random).to(x)
    for _ in range(2):  # once leaves rounding behind
        rest = torch.linalg.qr(rest - principal @ (principal.T @ rest)).Q
    directions = torch.cat((principal, rest), 1)
    least = _LEAST_STD * x.square().mean().sqrt()
    directions = directions / (x @ directions).std(0).clamp(min=least)
    return {"mean": mean.cpu(), "directions": directions.cpu().contiguous()}


def principal_directions(x: Tensor, count: int, random: torch.Generator) -> Tensor:
    """The first principal directions of centred x.

    By randomised subspace iteration (Halko et al. 2011, arXiv:0909.4061, algorithm 4.4), so that
    images of 64 x 64 pixels and more take seconds.

    Args:
        x: [n, dimensions], each column of mean 0.
        count: of directions; there are no more than n and dimensions.
        random: on the CPU.

    Returns:
        [dimensions, count], orthonormal columns.
    """
    width = min(count + 16, *x.shape)
    basis = torch.linalg.qr(x.T @ torch.randn(len(x), width, generator=random).to(x)).Q
    for _ in range(4):
        basis = torch.linalg.qr(x.T @ (x @ basis)).Q
    _, _, right = torch.linalg.svd(x @ basis, full_matrices=False)
    return basis @ right.T[:, :count]
