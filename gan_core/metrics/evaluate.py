"""Samples of many members to the numbers that judge them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_core.data import Dataset
from gan_core.metrics.features import FeatureExtractor, extractor
from gan_core.metrics.frechet import Moments, Reference, feature_spread, frechet_distance, moments
from gan_core.metrics.modes import mode_entropy, mode_kl, mode_shares, modes_1pct

__all__ = ["METRICS", "Evaluation", "Evaluator"]

METRICS = ("frechet_distance", "mode_kl", "mode_entropy", "modes_1pct", "feature_spread")
"""What an evaluation holds, in this order."""

# Images that go through the classifier at once: large enough to fill a device, and some tens of
# megabytes.
_CHUNK_IMAGES = 8192


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of K members, on the samples' device."""

    values: dict[str, Tensor]
    """[K], float64, by the names in `METRICS`; NaN for a member with a NaN or inf anywhere."""
    histogram: Tensor
    """[K, classes], float64: the share of samples in each class; NaN likewise."""


class Evaluator:
    """Compares samples with one half of a dataset; the other half says what perfection scores.

    The whole reference half is summed up once. Every score is of `eval_images` samples, because
    the Frechet distance depends on how many there are.

    Args:
        dataset: on the device where the samples will be.
        eval_images: samples of each member, >= 2; capped at the control half, n // 2.
        seed: of the split into halves. Scores compare only at the same seed.

    Attributes:
        eval_images: as capped.
        extractor: the classifier behind the scores; its `.hash` belongs to every score.
        classes: names of the histogram's entries.
        real: the score of held-out real images, as if they were a member's samples: K = 1.
    """

    def __init__(self, dataset: Dataset, eval_images: int = 1000, *, seed: int = 0) -> None:
        if eval_images < 2:
            raise ValueError(f"eval_images = {eval_images}: must be >= 2, for a covariance")
        reference, control = _halves(dataset, seed)
        self.eval_images = min(eval_images, len(control))
        self.extractor = extractor(dataset.name, dataset.images.device)
        self.classes = dataset.classes
        statistics, self._data_shares = _reference_summary(dataset, reference, self.extractor)
        self._reference = Reference(statistics)
        self.real = self(dataset.batch(control[: self.eval_images]).unsqueeze(0))

    def __call__(self, samples: Tensor) -> Evaluation:
        """Scores each member's samples.

        A member with a NaN or inf anywhere gets NaN throughout and leaves the others' scores
        bitwise as they are. On a CUDA device the host waits once, inside the decomposition.

        Args:
            samples: [K, eval_images, channels, height, width], in [-1, 1], float32 or float64.

        Raises:
            ValueError: another number of samples.
        """
        if samples.dim() != 5 or samples.shape[1] != self.eval_images:
            right = f"must be [members, {self.eval_images}, channels, height, width]"
            raise ValueError(f"samples has shape {list(samples.shape)}: {right}")
        chunks = samples.detach().split(max(1, _CHUNK_IMAGES // self.eval_images))
        parts = [self._summary(chunk.float()) for chunk in chunks]
        mean, covariance, shares = (torch.cat(column) for column in zip(*parts, strict=True))
        return Evaluation(self._scores(Moments(mean, covariance), shares), shares)

    def _summary(self, samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, covariance and mode shares of [K, N, ...]; NaN for a member that is not sound."""
        features, classes = self.extractor(samples.flatten(0, 1))
        statistics = moments(features.unflatten(0, samples.shape[:2]))
        shares = mode_shares(classes.unflatten(0, samples.shape[:2]), len(self.classes))
        # Of the samples too: the classifier's ReLUs can turn an inf into a finite feature.
        sound = statistics.finite & samples.isfinite().flatten(1).all(1)
        mean = torch.where(sound[:, None], statistics.mean, torch.nan)
        return mean, statistics.covariance, torch.where(sound[:, None], shares, torch.nan)

    def _scores(self, statistics: Moments, shares: Tensor) -> dict[str, Tensor]:
        scores = (
            frechet_distance(statistics, self._reference),
            mode_kl(shares, data=self._data_shares),
            mode_entropy(shares),
            modes_1pct(shares),
            feature_spread(statistics, self._reference),
        )
        return dict(zip(METRICS, scores, strict=True))


def _halves(dataset: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the reference half and of the control half, disjoint."""
    n = len(dataset.images)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    reference, control = order.to(dataset.images.device).tensor_split([n - n // 2])
    return reference, control


def _reference_summary(
    dataset: Dataset, reference: Tensor, extractor: FeatureExtractor
) -> tuple[Moments, Tensor]:
    """Moments of the features and mode shares of the reference half."""
    parts = [extractor(dataset.batch(chunk)) for chunk in reference.split(_CHUNK_IMAGES)]
    features, classes = (torch.cat(column) for column in zip(*parts, strict=True))
    return moments(features), mode_shares(classes, len(dataset.classes))
