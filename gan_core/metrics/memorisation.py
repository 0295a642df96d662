"""Whether samples are copies of training images: how far the nearest one is.

    median over samples of |x - nearest training image| / the same of real images

where a real one is not its own nearest (Meehan et al. 2020, arXiv:2004.05675, compare such
distances to find copies). Near 1 is right; 0 means that at least half of the samples are copies.
Samples far from all data exceed 1; those that are too smooth, or near the data's mean, fall
somewhat short of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["TrainingSet", "nearest_train_ratio"]

# Samples of a member that are asked: their median is known to some 2%.
_ASKED = 256
_ASKED_REAL = 1024
# Training vectors at once: with 256 samples, four megabytes of float32 distances.
_CHUNK_ROWS = 4096


class TrainingSet:
    """All training vectors, and how far real ones are from their nearest.

    Args:
        vectors: [n, dimensions], finite, n >= 2; distances are first compared in this dtype.
        real: [R], int64: which of them say what is usual; at most 1,024 of them do.
    """

    def __init__(self, vectors: Tensor, real: Tensor) -> None:
        # Distances stay; what their squares are rounded to becomes finer.
        self._mean = vectors.mean(0)
        self._vectors = vectors - self._mean
        self._half_squares = self._vectors.square().sum(1) / 2
        rows = real[:_ASKED_REAL]
        distances = [self.nearest(vectors[part], rows=part) for part in rows.split(_ASKED)]
        self.usual = torch.cat(distances).median()
        """float64: median distance of real vectors to the nearest other; 0 where most have
        an exact copy."""

    def nearest(self, samples: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """Distance to the nearest training vector, exactly 0 for a copy.

        The nearest is sought through products, whose rounding may take another that is as near
        but for 1e-3 of the vectors' length in float32; its distance is then taken in float64.

        Args:
            samples: [N, dimensions].
            rows: [N], int64: where the samples themselves stand; None if they do not.

        Returns:
            [N], float64; meaningless for a sample with a NaN or inf.
        """
        centred = samples.to(self._vectors.dtype) - self._mean
        best = centred.new_full((len(centred),), -torch.inf)
        where = torch.zeros(len(centred), dtype=torch.int64, device=centred.device)
        parts = zip(
            self._vectors.split(_CHUNK_ROWS), self._half_squares.split(_CHUNK_ROWS), strict=True
        )
        for number, (vectors, half_squares) in enumerate(parts):
            first = number * _CHUNK_ROWS
            # (|x|^2 - |x - v|^2) / 2
            closeness = (centred @ vectors.T).sub_(half_squares)
            if rows is not None:
                own = torch.arange(len(vectors), device=rows.device) == rows[:, None] - first
                closeness.masked_fill_(own, -torch.inf)
            value, index = closeness.max(1)
            nearer = value > best
            best, where = (
                torch.where(nearer, value, best),
                torch.where(nearer, index + first, where),
            )
        return (centred.double() - self._vectors[where].double()).norm(dim=1)


def nearest_train_ratio(
    samples: Tensor, training: TrainingSet, *, rows: Tensor | None = None
) -> Tensor:
    """How near the training set samples are, where real ones are at 1.

    The first 256 samples are asked. A member with a NaN or inf gets NaN and leaves the others
    as they are; each is by itself, with four megabytes of distances at once.

    Args:
        samples: [K, N, dimensions], N >= 1.
        training: of as many dimensions.
        rows: [N], int64: where real samples stand in it; None of generated ones.

    Returns:
        [K], float64, >= 0; NaN where most real vectors have an exact copy.
    """
    asked = None if rows is None else rows[:_ASKED]
    medians = [training.nearest(member[:_ASKED], rows=asked).median() for member in samples]
    if not medians:
        return samples.new_empty(0, dtype=torch.float64)
    told = samples.isfinite().flatten(1).all(1) & (training.usual > 0)
    return torch.where(told, torch.stack(medians) / training.usual, torch.nan)
