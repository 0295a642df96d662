"""What the seeds of each trial say together: how many fail, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.failures import failure_rates, is_judged
from analysis.intervals import interquartile_mean, row_intervals
from analysis.schema import HYPERPARAMETERS
from analysis.scores import TRIAL, member_scores, verdict_of

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["LEAST_SEEDS", "UNSTABLE_FAILURES", "UNSTABLE_SPREAD", "by_trial"]

LEAST_SEEDS = 5
"""Judged seeds below which nothing is said of a trial's stability; the fewest that papers on mode
collapse repeat their runs with (VEEGAN, Unrolled GAN)."""

UNSTABLE_FAILURES = 0.2
"""Share of failing seeds above which a trial is unstable; ours: more than one of five."""

UNSTABLE_SPREAD = 0.5
"""Interquartile range of the seeds' Frechet distances, as a share of their median, above which a
trial is unstable; ours. Of 50 seeds, Lucic et al. 2018, arXiv:1711.10337, have standard deviations
of 2% to 10% of the mean for most losses, and of 55% for the LSGAN on CIFAR-10."""

_QUARTILES = [0.25, 0.5, 0.75]


def by_trial(
    sweep: Sweep,
    verdicts: pd.DataFrame,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """The seeds of each trial together.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.verdict.judge`.
        confidence: of all intervals.
        resamples: of the bootstrap.
        seed: of its draws.

    Returns:
        One row per trial, in order of number, after `sweep` where there are several:
        trial; every hyperparameter; seeds: its members.
        judged: those healthy or failed. failures, failure_rate, failure_low, failure_high: of
            them, with the Wilson interval; the rate is NaN where none was judged.
        iqm, iqm_low, iqm_high: interquartile mean of the objective over its seeds with its
            bootstrap interval; a diverged seed counts as untrained (`analysis.scores`), a pruned
            one as what it was when it was ended. Fewer than four seeds have their mean, a single
            one has no interval.
        seed_unstable: whether more than 20% of the judged seeds failed, or the interquartile
            range of their Frechet distances is above half of the median; null below 5 of them.
    """
    trials = sweep.trials
    verdict = verdict_of(trials, verdicts)
    keys = [trials[key] for key in TRIAL]
    rates = failure_rates(verdict, keys, confidence=confidence)
    hyperparameters = trials.groupby(TRIAL, dropna=False)[list(HYPERPARAMETERS)].first()
    names = {"members": "seeds"} | {name: f"failure_{name}" for name in ("rate", "low", "high")}
    means = _means(trials.assign(score=member_scores(sweep)), confidence, resamples, seed)
    unstable = _unstable(sweep, verdict, rates)
    parts = [hyperparameters, rates.rename(columns=names), means, unstable]
    result = pd.concat(parts, axis=1).reset_index()
    return result if result["sweep"].nunique() > 1 else result.drop(columns="sweep")


def _means(members: pd.DataFrame, confidence: float, resamples: int, seed: int) -> pd.DataFrame:
    """Interquartile means with their intervals, on (sweep, trial)."""
    ordered = members.sort_values([*TRIAL, "seed"])
    sizes = ordered.groupby(TRIAL, dropna=False).size()
    scores, starts = ordered["score"].to_numpy(), np.cumsum(sizes.to_numpy()) - sizes.to_numpy()
    result = pd.DataFrame(np.nan, index=sizes.index, columns=["iqm", "iqm_low", "iqm_high"])
    for size in sizes.unique():  # trials of as many seeds at once
        rows = np.flatnonzero(sizes == size)
        values = scores[starts[rows][:, None] + np.arange(size)]
        ends = row_intervals(values, confidence=confidence, resamples=resamples, seed=seed)
        means = np.array([interquartile_mean(row) for row in values])
        result.iloc[rows] = np.column_stack([means, *ends])
    return result


def _unstable(sweep: Sweep, verdict: pd.Series, rates: pd.DataFrame) -> pd.Series:
    """Nullable bool `seed_unstable` on (sweep, trial)."""
    distance = member_scores(sweep, "frechet_distance")[is_judged(verdict)]
    keys = [sweep.trials.loc[distance.index, key] for key in TRIAL]
    quartiles = distance.groupby(keys, dropna=False).quantile(np.array(_QUARTILES)).unstack()
    quartiles = quartiles.reindex(index=rates.index, columns=_QUARTILES)
    spread = quartiles[0.75] - quartiles[0.25] > UNSTABLE_SPREAD * quartiles[0.5]
    unstable = (spread | (rates["rate"] > UNSTABLE_FAILURES)).astype("boolean")
    return unstable.where(rates["judged"] >= LEAST_SEEDS).rename("seed_unstable")
