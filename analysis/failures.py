"""How often members fail, group by group, with Wilson intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.compare import FAILURES, wilson_interval
from analysis.intervals import require_confidence
from analysis.rules import Verdict

__all__ = ["failure_rates", "is_failure", "is_judged"]


def is_failure(verdict: pd.Series) -> pd.Series:
    """Which members failed: bool; what is not judged did not."""
    return verdict.isin([failure.value for failure in FAILURES])


def is_judged(verdict: pd.Series) -> pd.Series:
    """Which members were trained for long enough to fail or not to: bool."""
    return is_failure(verdict) | (verdict == Verdict.HEALTHY.value)


def failure_rates(
    verdict: pd.Series, groups: Sequence[pd.Series], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Members, and how many of those that were judged failed, in each group.

    Members count as independent, which the seeds of one trial are not: over several trials the
    interval is too narrow.

    Args:
        verdict: of each member, null where there is none.
        groups: on the same index; of categories every combination has a row.
        confidence: of the Wilson interval.

    Returns:
        On the groups: `members`, `judged`, `failures`, `rate` (of the judged, NaN where there are
        none), `low`, `high`.
    """
    require_confidence(confidence)
    rows = pd.DataFrame({"judged": is_judged(verdict), "failures": is_failure(verdict)})
    by_group = rows.groupby(list(groups), observed=False, dropna=False)
    counts = by_group.sum().astype("int64")
    counts.insert(0, "members", by_group.size())
    rate = counts["failures"] / counts["judged"].where(counts["judged"] > 0)
    # Many groups, few different counts.
    pairs = list(zip(counts["failures"].tolist(), counts["judged"].tolist(), strict=True))
    known = {pair: wilson_interval(*pair, confidence) for pair in set(pairs)}
    ends = np.array([known[pair] for pair in pairs]).reshape(-1, 2)
    return counts.assign(rate=rate.astype("float64"), low=ends[:, 0], high=ends[:, 1])
