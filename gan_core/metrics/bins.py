"""In how many regions of the data a generator puts too many or too few samples.

The data is cut into bins by k-means; two samples of one distribution fill them alike
(Richardson & Weiss 2018, arXiv:1805.12462, sec. 2: NDB, the number of statistically different
bins, and the Jensen-Shannon divergence of the shares).

Bins are fitted to some reference samples and their shares counted on others: k-means lays its
borders where the samples that it sees fill the bins with less chance than any others would, and
in 32 dimensions the test would then find .02 of the bins where it should find .05.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Bins", "bin_js", "bins_for", "fit_bins", "ndb_share"]

_MOST_BINS = 100
# On average; the test's normal distribution stands for a binomial one.
_LEAST_SAMPLES = 20
_FIT_PER_BIN = 100
# Of a standard normal distribution, .05 are beyond this on both sides.
_SIGNIFICANT = 1.959963984540054


def bins_for(samples: int) -> int:
    """How many bins a number of samples allows: 100 (the paper's), but 20 samples for each.

    Fewer would make the test of two proportions, which takes counts to be normal, find too much
    or nothing. 0 where that leaves less than two.
    """
    count = min(_MOST_BINS, samples // _LEAST_SAMPLES)
    return count if count >= 2 else 0


class Bins:
    """Regions nearest to each of B centres, and how the reference fills them.

    Args:
        centres: [B, dimensions], float64; B may be 0.
        reference: [R, dimensions], R >= 1, none of them among those that the centres were
            fitted to.
    """

    def __init__(self, centres: Tensor, reference: Tensor) -> None:
        self.centres = centres
        self.reference_shares = self.shares(reference.unsqueeze(0))[0]
        self.reference_samples = len(reference)

    def shares(self, samples: Tensor) -> Tensor:
        """The share of each member's samples in each bin; [K, N, B] distances at once.

        Args:
            samples: [K, N, dimensions].

        Returns:
            [K, B], float64, summing to 1; NaN for a member with a NaN or inf.
        """
        if not len(self.centres):
            return self.centres.new_empty(len(samples), 0)
        # |x - c|^2 but for |x|^2, which all centres of x share.
        distances = self.centres.square().sum(1) - 2 * (samples.double() @ self.centres.T)
        nearest = distances.argmin(-1)
        counts = self.centres.new_zeros(len(samples), len(self.centres))
        counts.scatter_add_(1, nearest, torch.ones_like(nearest, dtype=counts.dtype))
        sound = samples.isfinite().flatten(1).all(1)
        return torch.where(sound[:, None], counts / samples.shape[1], torch.nan)


def fit_bins(reference: Tensor, count: int, *, seed: int = 0) -> Bins:
    """Cuts the reference's region into bins: k-means on one part, shares of the other.

    Args:
        reference: [R, dimensions], finite, in random order, R >= 2. The first half, at most 100
            for each bin, is for fitting.
        count: of bins; fewer where there are fewer distinct samples.
        seed: of k-means.
    """
    fitted = min(len(reference) // 2, _FIT_PER_BIN * count)
    seen = reference[:fitted].double().cpu()
    count = min(count, len(seen.unique(dim=0)))
    centres = _centres(seen, count, seed) if count else seen[:0]
    return Bins(centres.to(reference.device), reference[fitted:])


def ndb_share(shares: Tensor, samples: int, bins: Bins) -> Tensor:
    """The share of bins that differ at the .05 level, by the test of two proportions.

    About .05 where nothing differs.

    Args:
        shares: [K, B], of the members, from `Bins.shares`; NaN gives NaN.
        samples: of each member.
        bins: whose shares they are.

    Returns:
        [K], float64, in [0, 1]; NaN where there are no bins.
    """
    n, r = samples, bins.reference_samples
    pooled = (n * shares + r * bins.reference_shares) / (n + r)
    error = (pooled * (1 - pooled) * (1 / n + 1 / r)).sqrt()
    differs = (shares - bins.reference_shares).abs() > _SIGNIFICANT * error
    return torch.where(shares.isnan().any(-1), torch.nan, differs.double().mean(-1))


def bin_js(shares: Tensor, bins: Bins) -> Tensor:
    """Jensen-Shannon divergence between the shares of a member and of the reference, in nats.

    Args:
        shares: [K, B], of the members; NaN gives NaN.
        bins: whose shares they are.

    Returns:
        [K], float64, in [0, ln 2]; NaN where there are no bins.
    """
    if not shares.shape[-1]:
        return shares.new_full((len(shares),), torch.nan)
    p, q = shares, bins.reference_shares
    middle = (p + q) / 2
    # Of a bin that both leave empty: 0 ln 0 / 0.
    middle = torch.where(middle == 0, 1, middle)
    divergence = torch.xlogy(p, p / middle) + torch.xlogy(q, q / middle)
    # Equal shares may come out at -1e-17.
    return (divergence.sum(-1) / 2).clamp(min=0)


def _centres(samples: Tensor, count: int, seed: int) -> Tensor:
    from sklearn.cluster import KMeans

    means = KMeans(count, n_init=1, random_state=seed).fit(samples.numpy())
    return torch.from_numpy(means.cluster_centers_)
