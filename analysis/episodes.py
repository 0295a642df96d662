"""When a fault began, and whether it has passed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.window import MEMBER

__all__ = ["episodes"]


def episodes(rungs: pd.DataFrame, bad: pd.Series, *, evaluations: int) -> pd.DataFrame:
    """The last episode of a fault in each member.

    An episode is a stretch of bad rungs. A good stretch inside it that is shorter than
    `evaluations` does not end it; a bad stretch that is as short and has passed is none. Rungs
    where `bad` is null are passed over.

    Args:
        rungs: a history (see `analysis.window`), rung 0 included: an untrained generator is bad
            in most respects, and that is no episode of its own to recover from.
        bad: nullable bool, on its index.
        evaluations: how many rungs make a stretch.

    Returns:
        Per member that has a bad rung: `onset_step`, step of the last episode's first rung (0:
        bad from the start); `recovered`, whether that episode came after a good stretch, lasted
        for `evaluations` rungs and was followed by as many good ones.
    """
    known = bad.notna()
    rows = rungs.loc[known, [*MEMBER, "step"]].assign(bad=bad[known].astype(bool))
    rows["bad"] |= _is_brief(rows, evaluations, bad=False)
    rows["bad"] &= ~_is_brief(rows, evaluations, bad=True)
    stretches = _stretches(rows)
    following = stretches["rungs"].shift(-1, fill_value=0)
    stretches["recovered"] = (
        ~stretches["first"]
        & ~stretches["last"]
        & (stretches["rungs"] >= evaluations)
        & (following >= evaluations)
    )
    found = stretches[stretches["bad"]].groupby(MEMBER)[["onset_step", "recovered"]].last()
    return found.astype({"onset_step": "float64"})


def _is_brief(rows: pd.DataFrame, evaluations: int, *, bad: bool) -> pd.Series:
    """Which rows are in a short stretch, bad or good, with others before and after it."""
    stretches = _stretches(rows)
    inner = ~stretches["first"] & ~stretches["last"] & (stretches["bad"] == bad)
    return rows["stretch"].map(inner & (stretches["rungs"] < evaluations)).astype(bool)


def _stretches(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds each row's `stretch` to `rows`; one row per stretch of equal `bad` in a member."""
    member = rows[MEMBER].ne(rows[MEMBER].shift()).any(axis=1)
    rows["stretch"] = (member | (rows["bad"] != rows["bad"].shift())).cumsum()
    found = rows.groupby("stretch").agg(
        trial=("trial", "first"),
        seed=("seed", "first"),
        bad=("bad", "first"),
        onset_step=("step", "first"),
        rungs=("step", "size"),
    )
    new = found[MEMBER].ne(found[MEMBER].shift()).any(axis=1)
    return found.assign(first=new, last=np.append(new.to_numpy()[1:], True)[: len(found)])
