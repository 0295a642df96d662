"""Where a sweep stands, from the rows that it has written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.config import SweepConfig
from sweeps.domain import HYPERPARAMETERS
from sweeps.objective import Direction, direction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Summary", "describe", "summarise"]

STATUSES = ("complete", "pruned", "diverged", "failed")
"""What `trials` rows say, see `analysis.schema`."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A sweep's standing."""

    trials: int
    """Asked for."""
    ended: int
    """Trials that have ended, in whatever way."""
    members: dict[str, int]
    """Ended members by status."""
    member_steps: int
    """G updates of ended members."""
    best_trial: int | None
    """Of the trials that trained to their end and diverged no more than allowed."""
    best_objective: float | None
    best_hyperparameters: dict[str, object]


def summarise(config: SweepConfig, trials: pd.DataFrame) -> Summary:
    """Counts the members that ended and finds the best trial.

    Args:
        config: of the sweep.
        trials: rows of `analysis.schema.TRIALS`, one per member.
    """
    best = _best(config, trials)
    recipe = {} if best is None else best[list(HYPERPARAMETERS)].dropna().to_dict()
    counts = trials["status"].value_counts()
    return Summary(
        trials=config.search.trials,
        ended=int(trials["trial"].nunique()),
        members={status: int(counts.get(status, 0)) for status in STATUSES},
        member_steps=int(trials["steps"].sum()),
        best_trial=None if best is None else int(best["trial"]),
        best_objective=None if best is None else float(best["trial_objective"]),
        best_hyperparameters={str(name): value for name, value in recipe.items()},
    )


def _best(config: SweepConfig, trials: pd.DataFrame) -> pd.Series | None:
    """The first member's row of the best trial."""
    by_trial = trials.groupby("trial")["status"]
    whole = by_trial.transform(lambda s: s.isin(["complete", "diverged"]).all()).astype(bool)
    diverged = by_trial.transform(lambda s: (s == "diverged").mean()).astype(float)
    feasible = trials[whole & (diverged <= config.search.allowed_diverged_share)]
    feasible = feasible[feasible["trial_objective"].notna() & (feasible["status"] == "complete")]
    if feasible.empty:
        return None
    ascending = direction(config.search.objective) is Direction.MINIMIZE
    ordered = feasible.sort_values(["trial_objective", "trial"], ascending=[ascending, True])
    return ordered.iloc[0]


def describe(name: str, config: SweepConfig, summary: Summary) -> str:
    """The summary as a few lines of text."""
    members = ", ".join(f"{n} {status}" for status, n in summary.members.items())
    lines = [
        f"{name}: {summary.ended} of {summary.trials} trials ended",
        f"  members  {members}",
        f"  updates  {summary.member_steps:,} of G",
    ]
    if summary.best_trial is not None:
        value = f"{config.search.objective} {summary.best_objective:.4g}"
        shown = (f"{n}={_short(v)}" for n, v in summary.best_hyperparameters.items())
        lines += [
            f"  best     trial {summary.best_trial}, {value}",
            f"           {', '.join(shown)}",
        ]
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"
