"""What a smaller budget would have found: the best of k of the trials that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.intervals import require_confidence
from analysis.scores import (
    as_good_as_none,
    greater_is_better,
    is_stopped,
    trial_scores,
    variants,
)

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["budget_curve", "least_of"]

_MOST_POINTS = 200  # of a curve; below it there is one for every number of trials


def budget_curve(sweep: Sweep, *, by: str | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """The best objective to expect of k trials, drawn from those that have ended.

    Lucic et al. 2018 (arXiv:1711.10337) compare GANs by it, since the best of many
    trials says more of the budget than of the GAN; they draw by chance, this is what their mean
    goes to (`least_of`). Under a sampler that learns, trials are not alike: the curve says how
    well k trials do that were picked from all of them by chance, not how well it did after k.

    A trial that was pruned or diverged is never better than a complete one, whatever it had
    reached: it counts as what it was when it was ended (a diverged seed as untrained), or as the
    worst complete trial of its variant where that is worse. Trials that broke their worker are
    left out, as they say nothing of their hyperparameters.

    Args:
        sweep: from `analysis.load`.
        by: a hyperparameter, each value of which has its own curve; None for one curve.
        confidence: share of the draws of k trials whose best is between `low` and `high`. It is
            how much luck there is in k trials of these, and nothing at k = all of them; it
            does not say what other trials would have come to.

    Returns:
        By variant and number of trials: `variant` ("all" without `by`), `trials`,
        `expected_best`, `low`, `high`. Above 200 trials not every number has a row.
    """
    require_confidence(confidence)
    scored = trial_scores(sweep)
    scored["variant"] = variants(scored, by)
    scored = scored[scored["status"] != "failed"]
    greater, parts = greater_is_better(sweep), []
    for name, rows in scored.groupby("variant", observed=True):
        counted = as_good_as_none(rows["score"], is_stopped(rows), greater=greater)
        scores = counted.dropna().to_numpy()
        numbers = _numbers(len(scores))
        best, low, high = least_of(-scores if greater else scores, numbers, confidence)
        if greater:
            best, low, high = -best, -high, -low
        columns = {"variant": name, "trials": numbers, "expected_best": best}
        parts.append(pd.DataFrame(columns | {"low": low, "high": high}))
    dtypes = {"variant": "str", "trials": "int64"} | dict.fromkeys(_VALUES, "float64")
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(dtypes))
    return table.astype(dtypes)


_VALUES = ("expected_best", "low", "high")


def least_of(
    values: np.ndarray, numbers: np.ndarray, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The least of k values that are drawn without replacement: exact, from order statistics.

    Of n values in order, the i-th is the least of k with probability C(n - i, k - 1) / C(n, k),
    and the least is above the i-th with C(n - i, k) / C(n, k), the product over j < i of
    1 - k / (n - j).

    Args:
        values: [n], finite.
        numbers: [points], of k; each in [1, n].
        confidence: of the middle of the distribution.

    Returns:
        The mean, and the least values that the least one is below or at with the probabilities
        (1 - confidence) / 2 and (1 + confidence) / 2: each [points].
    """
    ordered = np.sort(values)
    n = len(ordered)
    if len(numbers) and not 1 <= np.min(numbers) <= np.max(numbers) <= n:
        raise ValueError(f"numbers = {numbers}: each must be in [1, {n}]")
    ends = ((1 - confidence) / 2, (1 + confidence) / 2)
    result = np.empty((3, len(numbers)))
    for point, k in enumerate(numbers):
        above = np.cumprod(np.clip(1 - k / (n - np.arange(n)), 0, 1))
        # Rounding: 1 - k / (n - j) is 0 or less from j = n - k on.
        above[n - k :] = 0
        weights = -np.diff(above, prepend=1)
        reached = 1 - above + 1e-12
        result[0, point] = weights @ ordered
        result[1:, point] = [ordered[(reached >= end).argmax()] for end in ends]
    return result[0], result[1], result[2]


def _numbers(n: int) -> np.ndarray:
    """Numbers of trials at which a curve of n is drawn."""
    if n <= _MOST_POINTS:
        return np.arange(1, n + 1)
    return np.unique(np.geomspace(1, n, _MOST_POINTS).round().astype(np.int64))
