"""Compares what was judged: how often training fails, and which trials are best."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.rules import Verdict
from analysis.schema import HYPERPARAMETERS
from analysis.scores import greater_is_better
from analysis.thresholds import Thresholds
from analysis.verdict import judge

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["FAILURES", "failure_rate", "leaderboard", "wilson_interval"]

FAILURES = frozenset(
    {
        Verdict.DIVERGED,
        Verdict.D_SATURATED,
        Verdict.LATE_COLLAPSE,
        Verdict.OSCILLATING,
        Verdict.MODE_COLLAPSE,
        Verdict.PARTIAL_COLLAPSE,
    }
)
"""Verdicts that say that training failed. Undertrained and undetermined members count neither
way: they were not trained for long enough to fail."""


def wilson_interval(failures: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a proportion, sound also for few trials and for none or all failing.

    (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n) with p = failures/n and z the
    normal quantile (Wilson 1927, J. Am. Stat. Assoc. 22:209-212; recommended for small n by
    Brown, Cai and DasGupta 2001, Stat. Sci. 16:101-133, sec. 3.1.1).

    Args:
        failures: in [0, n].
        n: 0 gives (0, 1).
        confidence: in (0, 1).
    """
    if not 0 <= failures <= n:
        raise ValueError(f"failures = {failures}: must be in [0, n], n = {n}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, spread = failures / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = z * math.sqrt(p * (1 - p) / n + spread / (4 * n)) / (1 + spread)
    # Exact ends where rounding would leave 1e-17.
    low = 0.0 if failures == 0 else centre - half
    high = 1.0 if failures == n else centre + half
    return low, high


def failure_rate(verdicts: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """How many of the members fail, with the Wilson interval.

    Members count as independent; the seeds of one trial are not, so over several trials the
    interval is too narrow, and best read for the seeds of one configuration.

    Args:
        verdicts: from `analysis.verdict.judge`.
        confidence: of the interval.

    Returns:
        One row: `members`; `judged`, those healthy or failed; `failures`; `rate`, of the judged,
        NaN where there are none; `low`, `high`; `undertrained`; `undetermined`.
    """
    counts = verdicts["verdict"].value_counts()
    failures = int(sum(counts.get(verdict.value, 0) for verdict in FAILURES))
    judged = failures + int(counts.get(Verdict.HEALTHY.value, 0))
    low, high = wilson_interval(failures, judged, confidence)
    row = {
        "members": len(verdicts),
        "judged": judged,
        "failures": failures,
        "rate": failures / judged if judged else math.nan,
        "low": low,
        "high": high,
        "undertrained": int(counts.get(Verdict.UNDERTRAINED.value, 0)),
        "undetermined": int(counts.get(Verdict.UNDETERMINED.value, 0)),
    }
    return pd.DataFrame([row])


def leaderboard(sweep: Sweep, n: int = 10, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """The best trials by `trial_objective`, equal ones in order of number.

    Which values are better and what share of a trial's seeds may diverge is read from
    `[search]` of the sweep's config; without it less is better and any share is allowed. Left
    out are trials that were pruned or failed, whose objective is of an earlier rung or none,
    trials with more diverged seeds than allowed or none complete, and objectives that are not
    finite.

    Args:
        sweep: from `analysis.load`.
        n: how many.
        thresholds: of the verdicts.

    Returns:
        One row per trial: `rank` from 1, `trial`, `trial_objective`, every hyperparameter,
        `seeds` (members), `diverged` (of them, by verdict), `verdicts`: such as
        "0: healthy, 1: diverged" by seed.
    """
    search = sweep.config.get("search", {})
    ascending = not greater_is_better(sweep)
    trials = _feasible(sweep.trials, search.get("allowed_diverged_share", 1.0))
    ordered = trials.sort_values(["trial_objective", "trial"], ascending=[ascending, True])
    best = ordered.drop_duplicates("trial").head(n).reset_index(drop=True)
    best = best[["trial", "trial_objective", *HYPERPARAMETERS]]
    best.insert(0, "rank", np.arange(1, len(best) + 1))
    rows = sweep.trials[sweep.trials["trial"].isin(best["trial"])]
    verdicts = judge(dataclasses.replace(sweep, trials=rows), thresholds)
    return best.merge(_by_trial(verdicts), on="trial", how="left")


def _feasible(trials: pd.DataFrame, allowed_diverged_share: float) -> pd.DataFrame:
    """Rows of complete members whose trial may be ranked."""
    number, status = trials["trial"], trials["status"]
    whole = status.isin(["complete", "diverged"]).groupby(number).transform("all")
    diverged = (status == "diverged").groupby(number).transform("mean")
    kept = whole & (diverged <= allowed_diverged_share) & (status == "complete")
    return trials[kept & np.isfinite(trials["trial_objective"])]


def _by_trial(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Per trial `seeds`, `diverged` and the text `verdicts`."""
    rows = pd.DataFrame(
        {
            "trial": verdicts["trial"],
            "diverged": verdicts["verdict"] == Verdict.DIVERGED.value,
            "verdicts": verdicts["seed"].astype("str") + ": " + verdicts["verdict"],
        }
    )
    return rows.groupby("trial", as_index=False).agg(
        seeds=("verdicts", "size"), diverged=("diverged", "sum"), verdicts=("verdicts", ", ".join)
    )
