"""The stretch of a member's training that a verdict looks at.

Everywhere in `analysis`, `rungs` is a history as `analysis.load` gives it: sorted by (trial,
seed, rung). What is said of a member is indexed by (trial, seed). Rung 0, before the first step,
belongs to no window.

NaN policy: a number that is not finite counts as not measured. It is left out, and what is
measured at fewer than half of a window's evaluations is NaN for the window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["MEMBER", "final_window", "finite", "last_evaluations", "median", "span"]

MEMBER = ["trial", "seed"]


def final_window(
    rungs: pd.DataFrame, *, share: float, least_steps: int, least_evaluations: int
) -> pd.Series:
    """Which rungs are in the last `share` of their member's steps, or more where that is little.

    It reaches back until it covers all of the share, `least_steps` steps and `least_evaluations`
    rungs, or the whole training.

    Returns:
        bool, on the index of `rungs`.
    """
    steps = rungs["interval_steps"].astype("float64").fillna(0)
    by_member = steps.groupby([rungs[key] for key in MEMBER])
    steps_after = by_member.transform("sum") - by_member.cumsum()
    end = rungs.groupby(MEMBER)["step"].transform("max")
    inside = (rungs["step"] > (1 - share) * end) | (steps_after < least_steps)
    return (inside | last_evaluations(rungs, least_evaluations)) & (rungs["rung"] > 0)


def last_evaluations(rungs: pd.DataFrame, count: int | pd.Series) -> pd.Series:
    """Which rungs are among their member's last `count`: bool, on the index of `rungs`."""
    return (rungs.groupby(MEMBER).cumcount(ascending=False) < count) & (rungs["rung"] > 0)


def span(rungs: pd.DataFrame, inside: pd.Series, name: str) -> pd.DataFrame:
    """Steps that the rungs inside cover, per member: `<name>_start` (left out), `<name>_end`."""
    rows = rungs[inside]
    begins = rows["step"] - rows["interval_steps"].astype("float64").fillna(0)
    by_member = pd.DataFrame({"begin": begins, "end": rows["step"]}).groupby(
        [rows[key] for key in MEMBER]
    )
    return pd.DataFrame(
        {f"{name}_start": by_member["begin"].min(), f"{name}_end": by_member["end"].max()}
    )


def median(rungs: pd.DataFrame, inside: pd.Series, columns: Sequence[str]) -> pd.DataFrame:
    """Median of each column over the rungs inside, per member; NaN as the module says."""
    rows = rungs[inside]
    by_member = finite(rows[list(columns)]).groupby([rows[key] for key in MEMBER])
    measured = by_member.count().ge(by_member.size() / 2, axis=0)
    return by_member.median().where(measured)


def finite(values: pd.DataFrame) -> pd.DataFrame:
    """The values, NaN where they are infinite."""
    return values.where(np.isfinite(values))
