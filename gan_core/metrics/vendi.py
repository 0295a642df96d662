"""The Vendi score: how many different samples there are, in effect.

    exp(-sum_i l_i ln l_i),    l the eigenvalues of K / N,    K_ij the cosine of samples i and j

Friedman & Dieng 2023, arXiv:2210.02410. From 1, all alike, to the lesser of N and the number of
features, plus 1. It knows no data: noise is as diverse as it gets, so it says something beside a
score that does, or beside that of real samples. Code: vertaix/Vendi-Score, `score_dual`.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["vendi_score"]


def vendi_score(features: Tensor) -> Tensor:
    """Effective number of different samples of each member.

    The eigenvalues are those of the features' second moments [features, features] (the dual
    form), which a sum over samples gives. Samples that are exactly 0 have no direction: they
    count as alike and as different from all others.

    A member with a NaN or inf gets NaN and leaves the others bitwise as they are. Takes the
    features once more, in float64.

    Args:
        features: [K, N, features], N >= 1.

    Returns:
        [K], float64, in [1, min(N, features + 1)].
    """
    features = features.double()
    # By the greatest first, so that squares neither overflow nor vanish.
    greatest = features.abs().amax(-1, keepdim=True)
    none = greatest == 0
    directions = features / torch.where(none, 1, greatest)
    directions = directions / torch.where(none, 1, directions.norm(dim=-1, keepdim=True))
    moments = directions.mT @ directions / features.shape[-2]
    sound = features.isfinite().flatten(1).all(1)
    # LAPACK refuses the whole batch for one NaN, so a broken member is decomposed as the identity.
    identity = torch.eye(moments.shape[-1], dtype=moments.dtype, device=moments.device)
    values = torch.linalg.eigvalsh(torch.where(sound[:, None, None], moments, identity))
    shares = torch.cat((values.clamp(min=0), none.double().mean(1)), 1)
    score = (-torch.xlogy(shares, shares).sum(1)).exp()
    return torch.where(sound, score.clamp(min=1), torch.nan)
