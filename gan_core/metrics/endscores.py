"""What is asked of a member once, when it ends: dearer than a rung's metrics.

Samples are compared with as many of the reference half, because most of these depend on how many
there are. Two views of them are judged: the extractor's features, which tell what a sample is,
and principal components of the data itself, which a classifier's indifference to style does not
blind.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.data import Dataset
from gan_core.metrics.bins import bin_js, bins_for, fit_bins, ndb_share
from gan_core.metrics.components import Components
from gan_core.metrics.kernel import KernelReference, kernel_distance
from gan_core.metrics.memorisation import TrainingSet, nearest_train_ratio
from gan_core.metrics.neighbours import Neighbours
from gan_core.metrics.vendi import vendi_score

__all__ = ["END_METRICS", "EndScores"]

END_METRICS = (
    "kid",
    "precision_k5",
    "recall_k5",
    "density_k5",
    "coverage_k5",
    "ndb_share",
    "bin_js",
    "vendi_score",
    "nearest_train_ratio",
)
"""What `EndScores` tells, in this order."""

_NEIGHBOUR = 5
# Every pair of samples is looked at: with 192 features, 1 s for a member at 5,000, 5 s at 10,000.
_MOST_PAIRED = 5000


class EndScores:
    """Scores the samples of members at their end.

    Of points, the Vendi score is NaN: an angle at the origin says nothing of them. Of a mixture,
    so is the distance to the training set, which fills its modes too densely to be remembered.

    Args:
        dataset: what the members were trained on, all of it, on the samples' device.
        reference: [R], int64: indices, in random order, of the half of it that samples are
            compared with.
        features: [M, features], of the first M of `reference`, as the extractor gives them;
            M should be the number of samples of each member.
        seed: of the bins.
    """

    def __init__(
        self, dataset: Dataset, reference: Tensor, features: Tensor, *, seed: int = 0
    ) -> None:
        self._has_directions = len(dataset.sample_shape) == 3
        self._kernel = KernelReference(features[:_MOST_PAIRED])
        self._neighbours = Neighbours(features[:_MOST_PAIRED], _NEIGHBOUR)
        self._components = Components(dataset)
        vectors = self._components.of_dataset(dataset, torch.arange(len(dataset)).to(reference))
        self._bins = fit_bins(vectors[reference], bins_for(len(features)), seed=seed)
        self._training = TrainingSet(vectors, reference) if dataset.mixture is None else None

    def __call__(
        self, samples: Tensor, features: Tensor, *, rows: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Scores each member.

        A member with a NaN or inf in its samples or features gets NaN throughout and leaves the
        others' scores bitwise as they are. Of more than 5,000 samples the first 5,000 are
        compared pair by pair, for the kernel and the neighbours.

        Args:
            samples: [K, N, *sample_shape], float32.
            features: [K, N, features], theirs, as the extractor gives them.
            rows: [N], int64: where real samples stand in the dataset, so that none counts as its
                own nearest neighbour; None of generated ones.

        Returns:
            [K], float64, by the names in `END_METRICS`.
        """
        sound = samples.isfinite().flatten(1).all(1) & features.isfinite().flatten(1).all(1)
        untold = torch.full((len(samples),), torch.nan, dtype=torch.float64, device=samples.device)
        scores = dict.fromkeys(END_METRICS, untold)
        paired = features[:, :_MOST_PAIRED]
        scores["kid"] = kernel_distance(paired, self._kernel)
        for name, score in self._neighbours(paired)._asdict().items():
            scores[f"{name}_k{_NEIGHBOUR}"] = score
        if self._has_directions:
            scores["vendi_score"] = vendi_score(features)
        scores |= self._of_vectors(samples, rows)
        return {name: torch.where(sound, score, torch.nan) for name, score in scores.items()}

    def _of_vectors(self, samples: Tensor, rows: Tensor | None) -> dict[str, Tensor]:
        vectors = self._components(samples.flatten(0, 1)).unflatten(0, samples.shape[:2])
        shares = self._bins.shares(vectors)
        scores = {
            "ndb_share": ndb_share(shares, samples.shape[1], self._bins),
            "bin_js": bin_js(shares, self._bins),
        }
        if self._training is not None:
            ratio = nearest_train_ratio(vectors, self._training, rows=rows)
            scores["nearest_train_ratio"] = ratio
        return scores
