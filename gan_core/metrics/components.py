"""Samples as they are, in few dimensions: what a classifier overlooks is still there.

Points of up to 32 dimensions are themselves. Of images, and of points of more, it is their first
32 principal components, not scaled: distances are those between the samples, but for the little
that lies outside.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_core.data import Dataset
from gan_core.metrics.projection import Projection, principal_directions

__all__ = ["Components"]

_MOST_DIMENSIONS = 32
_FIT_SAMPLES = 4096
_SEED = 0
# Pixels that become floats at once: 32 MB.
_CHUNK_VALUES = 2**23


class Components:
    """The view of a dataset's samples; its random numbers are its own.

    Args:
        dataset: up to 4,096 of its samples say which directions are the principal ones.

    Attributes:
        dimensions: of a vector.
    """

    def __init__(self, dataset: Dataset) -> None:
        total = math.prod(dataset.sample_shape)
        self._rows = max(1, _CHUNK_VALUES // total)
        self._projection = _fitted(dataset) if total > _MOST_DIMENSIONS else None
        self.dimensions = total if self._projection is None else self._projection.features_dim

    def __call__(self, samples: Tensor) -> Tensor:
        """Vectors of samples.

        Args:
            samples: [N, *sample_shape], float32.

        Returns:
            [N, dimensions]: float64 of points that are themselves, as few dimensions allow modes
            that are narrow beside their distance; else float32. A NaN or inf makes its own
            sample's vector non-finite.
        """
        if self._projection is None:
            return samples.flatten(1).double()
        return self._projection(samples)

    def of_dataset(self, dataset: Dataset, rows: Tensor) -> Tensor:
        """Vectors of a dataset's samples at `rows`, [R]: [R, dimensions]."""
        return torch.cat([self(dataset.batch(part)) for part in rows.split(self._rows)])


def _fitted(dataset: Dataset) -> Projection:
    random = torch.Generator().manual_seed(_SEED)
    chosen = torch.randperm(len(dataset), generator=random)[:_FIT_SAMPLES].to(dataset.device)
    x = dataset.batch(chosen).flatten(1)
    mean = x.mean(0)
    return Projection(mean, principal_directions(x - mean, _MOST_DIMENSIONS, random))
