"""The rows of a sweep's page: its leaderboard, what failed and why, what is in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.palette import VERDICT_NAMES
from analysis.plots.scales import short_number
from analysis.report.records import trials_record
from analysis.report.tables import Tables
from analysis.window import MEMBER

__all__ = ["Board", "ended_badly", "in_training", "latest_samples"]


_NO_FAULTS = ("healthy", "undertrained", "undetermined")


class Board:
    """All trials that have ended, the best first.

    Args:
        tables: of the sweep.
    """

    def __init__(self, tables: Tables) -> None:
        self.record = trials_record(tables)
        columns, members = self.record["columns"], self.record["members"]
        self.varied: list[str] = self.record["varied"]
        self.members: dict[int, list[dict[str, Any]]] = {}
        for row in _rows(members):
            row["verdict_name"] = VERDICT_NAMES[row["verdict"]]
            self.members.setdefault(row["trial"], []).append(row)
        self.rows = [self._row(row) for row in _rows(columns)]

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "trial": row["trial"],
            "rank": None if row["rank"] is None else int(row["rank"]),
            "status": row["status"],
            "objective": shown(row["objective"]),
            "error": row.get("error"),
            "members": self.members.get(row["trial"], []),
            "varied": [shown(row[name]) for name in self.varied],
            "settings": [(name, shown(row[name])) for name in self.varied],
            "fixed": [
                (name, shown(row[name])) for name in self.record["fixed"] if row[name] is not None
            ],
        }


def shown(value: Any) -> str:
    """A value of a table as people read it."""
    if value is None:
        return "-"
    return short_number(value) if isinstance(value, float | int) else str(value)


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def ended_badly(board: Board, tables: Tables) -> list[dict[str, Any]]:
    """Trials that were pruned, diverged or failed, the last first, each with why."""
    steps = tables.sweep.trials.groupby("trial")["steps"].max()
    found = []
    for row in sorted(board.rows, key=lambda row: -row["trial"]):
        if row["status"] == "complete":
            continue
        reached = steps.get(row["trial"])
        found.append(
            row
            | {
                "steps": shown(None if pd.isna(reached) else int(reached)),
                "why": row["error"] or _why(row),
            }
        )
    return found


def _why(row: dict[str, Any]) -> str:
    """The worst that is said of its members, where that tells more than that it was pruned."""
    faults = [m for m in row["members"] if m["verdict"] not in _NO_FAULTS]
    if row["status"] == "pruned" and not faults:
        return "It was not among the best that came so far."
    told = faults or row["members"]
    return str(told[0]["reason"]) if told else ""


def in_training(tables: Tables) -> pd.DataFrame:
    """Rows of the history of members that have not ended."""
    history = tables.sweep.history
    if history.empty:
        return history
    ended = pd.MultiIndex.from_frame(tables.sweep.trials[MEMBER])
    return history[~pd.MultiIndex.from_frame(history[MEMBER]).isin(ended)]


def latest_samples(
    samples: pd.DataFrame, board: Board, running: pd.DataFrame, most: int
) -> list[dict[str, Any]]:
    """The last grid of a seed of each of the best trials, those in training first."""
    last = samples.sort_values("step").groupby(MEMBER, as_index=False).last()[[*MEMBER, "step"]]
    training = set(running["trial"]) if len(running) else set()
    ranks = {row["trial"]: row["rank"] for row in board.rows if row["rank"] is not None}
    order = last["trial"].map(lambda t: -1 if t in training else ranks.get(t, np.inf))
    rows = last.assign(order=order).sort_values(["order", *MEMBER]).drop_duplicates("trial")
    found = []
    for trial, seed, step in rows[[*MEMBER, "step"]].head(most).itertuples(index=False):
        known = [m for m in board.members.get(trial, []) if m["seed"] == seed]
        found.append(
            {
                "trial": int(trial),
                "seed": int(seed),
                "step": int(step),
                "member": known[0] if known else None,
                "in_training": trial in training,
            }
        )
    return found
