"""Samples of many members to the numbers that judge them.

One interface for every dataset. What cannot be told of it is NaN for all members: `hq_share`
unless the data is a mixture, `modes_hit` unless it is a mixture or stacked MNIST, all that is of
modes where there are neither labels nor a mixture, and the agreements unless classes were asked
for. A rung asks for `METRICS`, which are cheap; a member's end for `END_METRICS` as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gan_core.data import Dataset
from gan_core.datasets import DatasetName
from gan_core.metrics.endscores import END_METRICS, EndScores
from gan_core.metrics.features import extractor
from gan_core.metrics.frechet import Moments, Reference, feature_spread, frechet_distance, moments
from gan_core.metrics.modes import (
    class_agreement,
    hq_share,
    mode_entropy,
    mode_kl,
    mode_shares,
    modes_1pct,
    modes_hit,
)
from gan_core.metrics.within import mixture_traces, mode_traces, within_class_spread

__all__ = ["END_METRICS", "METRICS", "Evaluation", "Evaluator"]

METRICS = (
    "frechet_distance",
    "mode_kl",
    "mode_entropy",
    "modes_1pct",
    "feature_spread",
    "within_class_spread",
    "hq_share",
    "modes_hit",
    "class_agreement",
    "least_class_agreement",
)
"""What an evaluation at a rung holds, in this order."""

# Samples that go through the extractor at once: large enough to fill a device, and some tens of
# megabytes.
_CHUNK_SAMPLES = 8192
_CHUNK_VALUES = 2**25


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of K members, on the samples' device."""

    values: dict[str, Tensor]
    """[K], float64, by the names in `METRICS`, the real control's by those in `END_METRICS` too;
    NaN for a member with a NaN or inf anywhere."""
    histogram: Tensor
    """[K, modes], float64: the share of all samples in each mode; NaN likewise. They sum to 1 for
    classes, to `hq_share` for a mixture; no columns where no modes can be told."""


class Evaluator:
    """Compares samples with a dataset; a part of it that is held out says what perfection scores.

    Images and points are compared with one half of the data, all of it summed up once; the
    control comes from the other. A mixture's points are compared with its exact moments and its
    modes with equal shares; so are stacked MNIST's, as those who published results did. Every
    score is of `eval_images` samples, because the Frechet distance depends on how many there are.

    Args:
        dataset: on the device where the samples will be.
        eval_images: samples of each member, >= 2; capped at the control half, n // 2. Published
            results are of 2,500 for mixtures and of 26,000 for stacked_mnist.
        seed: of the split into halves. Scores compare only at the same seed.

    Attributes:
        eval_images: as capped.
        extractor: what is behind the scores; its `.hash` belongs to every score.
        classes: names of the histogram's entries.
    """

    def __init__(self, dataset: Dataset, eval_images: int = 1000, *, seed: int = 0) -> None:
        if eval_images < 2:
            raise ValueError(f"eval_images = {eval_images}: must be >= 2, for a covariance")
        self._dataset, self._seed = dataset, seed
        self._reference_rows, control = _halves(dataset, seed)
        self.eval_images = min(eval_images, len(control))
        self._held_out = control[: self.eval_images]
        self.extractor = extractor(dataset)
        self.classes = dataset.classes if self.extractor.classes else ()
        self._sample_shape = dataset.sample_shape
        self._has_quality = dataset.mixture is not None
        self._counts_hits = self._has_quality or dataset.name == DatasetName.STACKED_MNIST
        self._chunk = max(2, min(_CHUNK_SAMPLES, _CHUNK_VALUES // math.prod(self._sample_shape)))
        statistics, self._data_shares, self._traces = self._summed_up()
        self._reference = Reference(statistics)

    def __call__(self, samples: Tensor, labels: Tensor | None = None) -> Evaluation:
        """Scores each member's samples.

        A member with a NaN or inf anywhere gets NaN throughout and leaves the others' scores
        bitwise as they are. On a CUDA device the host waits once, inside the decomposition.

        Args:
            samples: [K, eval_images, *sample_shape], float32 or float64; images in [-1, 1].
            labels: int64 [eval_images], the class that each sample was asked to be of; None of
                unconditional generators.

        Raises:
            ValueError: another number of samples, or samples of another shape.
        """
        parts = [self._summary(chunk, labels) for chunk in self._chunks(samples)]
        columns = (torch.cat(column) for column in zip(*parts, strict=True))
        mean, covariance, shares, spread, agreements = columns
        scores = self._scores(Moments(mean, covariance), shares)
        scores["within_class_spread"] = spread
        scores["class_agreement"], scores["least_class_agreement"] = agreements.unbind(1)
        return Evaluation(scores, shares)

    def at_end(self, samples: Tensor, *, rows: Tensor | None = None) -> dict[str, Tensor]:
        """Scores each member's samples by `END_METRICS`; the first call takes longer.

        Args:
            samples: as `__call__` wants them.
            rows: [eval_images], int64: where real samples stand in the dataset, so that none
                counts as its own nearest neighbour; None of generated ones.

        Returns:
            [K], float64, by name; NaN likewise.

        Raises:
            ValueError: likewise.
        """
        parts = []
        for chunk in self._chunks(samples):
            features, _ = self.extractor(chunk.flatten(0, 1))
            parts.append(self._end_scores(chunk, features.unflatten(0, chunk.shape[:2]), rows=rows))
        return {name: torch.cat([part[name] for part in parts]) for name in END_METRICS}

    @cached_property
    def real(self) -> Evaluation:
        """What held-out real samples score, as if they were a member's: K = 1.

        By `METRICS` and `END_METRICS`, against the reference half; but GANs learn from the whole
        dataset, so the nearest of all other samples is what a real one is held beside.
        """
        dataset = self._dataset
        labels = None if dataset.labels is None else dataset.labels[self._held_out]
        samples = dataset.batch(self._held_out).unsqueeze(0)
        rung = self(samples, labels)
        return Evaluation(rung.values | self.at_end(samples, rows=self._held_out), rung.histogram)

    @cached_property
    def _end_scores(self) -> EndScores:
        rows = self._reference_rows
        features, _ = self.extractor(self._dataset.batch(rows[: self.eval_images]))
        return EndScores(self._dataset, rows, features, seed=self._seed)

    def _chunks(self, samples: Tensor) -> list[Tensor]:
        """Members that go through the extractor at once."""
        expected = (self.eval_images, *self._sample_shape)
        if samples.shape[1:] != expected:
            right = f"must be [members, {', '.join(map(str, expected))}]"
            raise ValueError(f"samples has shape {list(samples.shape)}: {right}")
        chunks = samples.detach().split(max(1, self._chunk // self.eval_images))
        return [chunk.float() for chunk in chunks]

    def _summary(self, samples: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        """Of samples [K, N, ...]; NaN for a member that is not sound.

        Returns:
            Mean, covariance, mode shares, [K] the spread inside the modes, and [K, 2] the
            agreement with the labels over all samples and over those of the class where it is
            least.
        """
        features, modes = self.extractor(samples.flatten(0, 1))
        features = features.unflatten(0, samples.shape[:2])
        statistics = moments(features)
        modes = modes.unflatten(0, samples.shape[:2])
        shares = mode_shares(modes, self.extractor.classes)
        spread = shares.new_full((len(shares),), torch.nan)
        if self.extractor.classes:
            spread = within_class_spread(features, modes, self._traces)
        # Of the samples too: the classifier's ReLUs can turn an inf into a finite feature.
        sound = statistics.finite & samples.isfinite().flatten(1).all(1)
        mean = torch.where(sound[:, None], statistics.mean, torch.nan)
        shares = torch.where(sound[:, None], shares, torch.nan)
        agreements = shares.new_full((len(shares), 2), torch.nan)
        if labels is not None and self.extractor.classes:
            agreements = class_agreement(modes, labels)
        agreements = torch.where(sound[:, None], agreements, torch.nan)
        spread = torch.where(sound, spread, torch.nan)
        return mean, statistics.covariance, shares, spread, agreements

    def _scores(self, statistics: Moments, shares: Tensor) -> dict[str, Tensor]:
        scores = dict.fromkeys(METRICS, shares.new_full((len(shares),), torch.nan))
        scores["frechet_distance"] = frechet_distance(statistics, self._reference)
        scores["feature_spread"] = feature_spread(statistics, self._reference)
        if self.extractor.classes:
            scores["mode_kl"] = mode_kl(shares, data=self._data_shares)
            scores["mode_entropy"] = mode_entropy(shares)
            scores["modes_1pct"] = modes_1pct(shares)
        if self._has_quality:
            scores["hq_share"] = hq_share(shares)
        if self._counts_hits:
            scores["modes_hit"] = modes_hit(shares)
        return scores

    def _summed_up(self) -> tuple[Moments, Tensor, Tensor]:
        """Moments of the data's features, the shares of its modes and the traces inside them."""
        dataset, modes = self._dataset, self.extractor.classes
        equal = torch.full((modes,), 1 / max(1, modes), dtype=torch.float64, device=dataset.device)
        truth = dataset.mixture
        if truth is not None and self.extractor.features_dim == len(truth.mean):
            return Moments(truth.mean, truth.covariance), equal, mixture_traces(truth)
        parts = [self.extractor(dataset.batch(i)) for i in self._reference_rows.split(self._chunk)]
        features, seen = (torch.cat(column) for column in zip(*parts, strict=True))
        shares = equal if self._counts_hits else mode_shares(seen, modes)
        traces = mode_traces(features[None], seen[None], modes)[0][0] if modes else equal
        return moments(features), shares, traces


def _halves(dataset: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the reference half and of the control half, disjoint."""
    n = len(dataset)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    reference, control = order.to(dataset.device).tensor_split([n - n // 2])
    return reference, control
