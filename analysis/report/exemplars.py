"""Which members stand for a sweep: its best, its worst, and a collapsed one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.report.tables import Tables
from analysis.rules import Verdict

__all__ = ["Exemplar", "exemplars"]

_COLLAPSED = (Verdict.MODE_COLLAPSE, Verdict.LATE_COLLAPSE, Verdict.PARTIAL_COLLAPSE)


@dataclass(frozen=True)
class Exemplar:
    """A member and what it stands for."""

    role: str
    """best, worst or collapsed."""
    trial: int
    seed: int
    verdict: str
    value: float
    """Its objective."""


def exemplars(tables: Tables) -> list[Exemplar]:
    """The best and the worst member by the objective, and the most collapsed one.

    The best is of the best trial. The worst is of those trained to the end whose objective is
    finite. The collapsed one has the gravest verdict of collapse that occurs, and the fewest
    modes of those. A member stands for one thing only; what does not occur is left out.
    """
    rows = tables.members
    rows = rows[rows["verdict"].notna()]
    taken: list[Exemplar] = []
    for role, candidates in (
        ("best", _best(tables, rows)),
        ("collapsed", _collapsed(rows)),
        ("worst", _worst(tables, rows)),
    ):
        known = {(e.trial, e.seed) for e in taken}
        free = [r for r in candidates.to_dict("records") if (r["trial"], r["seed"]) not in known]
        if free:
            row = free[0]
            value = float(row["objective"])
            taken.append(Exemplar(role, row["trial"], row["seed"], row["verdict"], value))
    order = {"best": 0, "worst": 1, "collapsed": 2}
    return sorted(taken, key=lambda exemplar: order[exemplar.role])


def _best(tables: Tables, rows: pd.DataFrame) -> pd.DataFrame:
    finite = rows[np.isfinite(rows["objective"].astype("float64"))]
    if len(tables.best):
        finite = finite[finite["trial"] == tables.best["trial"].iloc[0]]
    else:
        finite = finite[finite["status"] == "complete"]
    return finite.sort_values("objective", ascending=not tables.greater).head(1)


def _worst(tables: Tables, rows: pd.DataFrame) -> pd.DataFrame:
    whole = rows[(rows["status"] == "complete") & np.isfinite(rows["objective"].astype("float64"))]
    return whole.sort_values("objective", ascending=tables.greater).head(3)


def _collapsed(rows: pd.DataFrame) -> pd.DataFrame:
    for verdict in _COLLAPSED:
        found = rows[rows["verdict"] == verdict.value]
        if len(found):
            return found.sort_values(["final_mode_entropy", "trial", "seed"])
    return rows[:0]
