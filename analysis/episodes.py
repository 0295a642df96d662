"""When a fault began, and whether it has passed."""

from __future__ import annotations

from dataclasses import dataclass

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
        Per member that has a bad rung: `onset_step`, step of the last episode's first rung, 0 if
        it was bad as soon as this was known; `recovered`, whether that episode came after a good
        stretch, lasted for `evaluations` rungs and was followed by as many good ones.
    """
    known = bad.notna()
    rows, is_bad = rungs.loc[known, [*MEMBER, "step"]], bad[known].to_numpy(dtype=bool)
    is_bad = is_bad | _is_brief(rows, is_bad, evaluations, of=False)
    is_bad = is_bad & ~_is_brief(rows, is_bad, evaluations, of=True)
    stretches = _Stretches.of(rows, is_bad)
    following = np.append(stretches.rungs[1:], 0)
    lasting = (stretches.rungs >= evaluations) & (following >= evaluations)
    found = rows.iloc[stretches.start].rename(columns={"step": "onset_step"})
    found["recovered"] = ~stretches.first & ~stretches.last & lasting
    found["onset_step"] = found["onset_step"].where(~stretches.first, 0)
    found = found[stretches.bad].drop_duplicates(MEMBER, keep="last").set_index(MEMBER)
    return found.astype({"onset_step": "float64"})


@dataclass(frozen=True, eq=False)
class _Stretches:
    """Maximal runs of equal badness in a member, in order; all arrays [stretches]."""

    start: np.ndarray
    """Row that it begins at."""
    rungs: np.ndarray
    bad: np.ndarray
    first: np.ndarray
    """Whether it is its member's first."""
    last: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, bad: np.ndarray) -> _Stretches:
        keys = rows[MEMBER].to_numpy()
        enters = np.ones(len(rows), dtype=bool)
        enters[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        begins = enters.copy()
        begins[1:] |= bad[1:] != bad[:-1]
        start = np.flatnonzero(begins)
        return cls(
            start=start,
            rungs=np.diff(start, append=len(rows)),
            bad=bad[start],
            first=enters[start],
            last=np.append(enters[start][1:], True)[: len(start)],
        )


def _is_brief(rows: pd.DataFrame, bad: np.ndarray, evaluations: int, *, of: bool) -> np.ndarray:
    """Which rows are in a short stretch, bad or good, with others before and after it."""
    stretches = _Stretches.of(rows, bad)
    inner = ~stretches.first & ~stretches.last & (stretches.bad == of)
    return np.repeat(inner & (stretches.rungs < evaluations), stretches.rungs)
