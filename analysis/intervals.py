"""Interquartile means, and intervals of what few seeds can tell, by resampling them.

Everything takes a seed and is exact in it: the same seed gives the same numbers, in whatever
order the values come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "bootstrap",
    "interquartile_mean",
    "require_confidence",
    "row_intervals",
    "stratified_bootstrap",
]

_CUT = 0.25  # from each end
_ELEMENTS = 200_000  # of one batch of draws: what caches hold; ten times that takes twice as long


def interquartile_mean(values: ArrayLike) -> float:
    """Mean of the middle half: floor(n / 4) values are left out at either end.

    Between the mean, which one bad seed decides, and the median, which hardly uses most of them
    (Agarwal et al. 2021, arXiv:2108.13264, sec. 4.3; the numbers are those of rliable, which takes
    `scipy.stats.trim_mean`). Of fewer than four values it is their mean.

    Args:
        values: any shape. One that is NaN makes the result NaN, for nothing is dropped in
            silence; an infinite one counts as what it is, the least or the greatest.

    Returns:
        NaN of no values.
    """
    flat = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    if not len(flat) or np.isnan(flat[-1]):
        return np.nan
    cut = int(_CUT * len(flat))
    return float(flat[cut : len(flat) - cut].mean())


def stratified_bootstrap(
    values: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the interquartile mean, under new draws of the seeds.

    As many values as a stratum has are drawn from it with replacement, so that each stratum keeps
    its weight (Agarwal et al. 2021, arXiv:2108.13264, sec. 4.2, whose strata are tasks; ours are
    trials). Values that are alone in their stratum are drawn from each other: alone they could
    not vary, and the interval would have no width.

    With few values per stratum it is too narrow, as every bootstrap is: of n values the variance
    comes out at (n - 1)/n of what it is.

    Args:
        values: [n].
        strata: [n], what each value belongs to; None for one stratum.
        confidence: in (0, 1).
        resamples: > 0.
        seed: of the draws.

    Returns:
        Low and high; NaN where a value is, and where nothing could vary: fewer than two values.
    """
    flat = np.asarray(values, dtype=np.float64)
    if not len(flat) or np.isnan(flat).any():
        return np.nan, np.nan
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    low, high = bootstrap(
        lambda counts: _means(ordered, counts[:, order]),
        flat,
        strata,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    return float(low), float(high)


def row_intervals(
    values: np.ndarray, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """`stratified_bootstrap` of each row alone, all at once.

    Args:
        values: [rows, n].
        confidence: in (0, 1).
        resamples: > 0.
        seed: of the draws.

    Returns:
        Low and high, each [rows].
    """
    rows, n = values.shape
    if n < 2 or not rows:
        return np.full(rows, np.nan), np.full(rows, np.nan)
    require_confidence(confidence)
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=1)
    drawn = np.concatenate(list(_drawn_counts([np.arange(n)], n, resamples, seed)))
    # Few seeds can be drawn in few ways (two in three), however often they are.
    counts, times = np.unique(drawn, axis=0, return_counts=True)
    ends = np.empty((2, rows))
    batch = max(1, _ELEMENTS // len(counts))
    for start in range(0, rows, batch):
        part = slice(start, start + batch)
        ends[:, part] = _percentiles(_means(ordered[part], counts), times / resamples, confidence)
    ends[:, np.isnan(ordered[:, -1])] = np.nan
    return ends[0], ends[1]


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    values: np.ndarray,
    strata: ArrayLike | None = None,
    *,
    pools: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile intervals of statistics under draws within strata.

    Args:
        statistic: from how often each value was drawn, int64 [draws, n], to its own values,
            [draws] or [draws, k].
        values: [n]; only their order in each stratum is used, so that rows may come in any.
        strata: [n], as in `stratified_bootstrap`.
        pools: [n], within which values that are alone in their stratum are drawn from each
            other; None for all.
        confidence: in (0, 1).
        resamples: > 0.
        seed: of the draws.

    Returns:
        Low and high, each [] or [k]; NaN where nothing could vary.
    """
    require_confidence(confidence)
    members = _strata(values, strata, pools)
    draws = _drawn_counts(members, len(values), resamples, seed)
    found = np.concatenate([statistic(counts) for counts in draws])
    if all(len(stratum) < 2 for stratum in members):
        found = np.full_like(found, np.nan, dtype=np.float64)
    rows = found.reshape(resamples, -1).T
    low, high = _percentiles(rows, np.full(resamples, 1 / resamples), confidence)
    return low.reshape(found.shape[1:]), high.reshape(found.shape[1:])


def require_confidence(confidence: float) -> None:
    """Refuses what no interval can be made of.

    Raises:
        ValueError: naming the value and what would be right.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence}: must be in (0, 1)")


def _drawn_counts(
    strata: Sequence[np.ndarray], n: int, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """How often each value is drawn.

    Args:
        strata: indices of the values of each, in [0, n).
        n: number of values.
        resamples: in all.
        seed: of the draws.

    Yields:
        Int64 [batch, n]; over all batches `resamples` rows.
    """
    if resamples < 1:
        raise ValueError(f"resamples = {resamples}: must be > 0")
    generator = np.random.default_rng(seed)
    places = np.concatenate(strata)
    lengths = [len(stratum) for stratum in strata]
    sizes, starts = np.repeat(lengths, lengths), np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
    batch = max(1, _ELEMENTS // n)
    for start in range(0, resamples, batch):
        rows = min(batch, resamples - start)
        drawn = starts + (generator.random((rows, len(places))) * sizes).astype(np.int64)
        flat = places[drawn] + n * np.arange(rows)[:, None]
        yield np.bincount(flat.ravel(), minlength=rows * n).reshape(rows, n)


def _strata(
    values: np.ndarray, strata: ArrayLike | None, pools: ArrayLike | None
) -> list[np.ndarray]:
    """Indices of each stratum's values in ascending order of value; the lone ones by pool."""
    code = _codes("strata", strata, values)
    alone = np.bincount(code)[code] == 1
    code = np.where(alone, -1 - _codes("pools", pools, values), code)
    order = np.lexsort((values, code))
    return np.split(order, np.flatnonzero(np.diff(code[order])) + 1)


def _codes(name: str, names: ArrayLike | None, values: np.ndarray) -> np.ndarray:
    """What each value belongs to, numbered from 0: int64 [n]."""
    if names is None:
        return np.zeros(len(values), dtype=np.int64)
    if np.shape(names) != values.shape:
        right = f"must be that of values, {values.shape}"
        raise ValueError(f"{name}: has shape {np.shape(names)}, {right}")
    return np.unique(np.asarray(names), return_inverse=True)[1]


def _means(ordered: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Interquartile means of draws.

    Args:
        ordered: [..., n], ascending.
        counts: [draws, n], how often each was drawn; rows sum to n.

    Returns:
        [..., draws]
    """
    n = counts.shape[-1]
    cut = int(_CUT * n)
    inside = np.clip(np.cumsum(counts, axis=-1), cut, n - cut)
    weights = np.diff(inside, axis=-1, prepend=cut).T.astype(np.float64)
    # Apart, for 0 * inf is NaN.
    sums = np.where(np.isfinite(ordered), ordered, 0.0) @ weights
    for end in (np.inf, -np.inf):
        if (ordered == end).any():
            sums = np.where((ordered == end) @ weights > 0, sums + end, sums)
    return sums / (n - 2 * cut)


def _percentiles(found: np.ndarray, shares: np.ndarray, confidence: float) -> np.ndarray:
    """Ends of the middle `confidence` of distributions: the least values that reach them.

    Args:
        found: [rows, draws].
        shares: [draws], how likely each draw is; they sum to 1.
        confidence: in (0, 1).

    Returns:
        Low and high: [2, rows].
    """
    order = np.argsort(found, axis=1)
    # Sums of shares are off by rounding.
    reached = np.cumsum(shares[order], axis=1) + 1e-9
    ends = []
    for share in ((1 - confidence) / 2, (1 + confidence) / 2):
        first = np.take_along_axis(order, (reached >= share).argmax(axis=1)[:, None], axis=1)
        ends.append(np.take_along_axis(found, first, axis=1)[:, 0])
    return np.stack(ends)
