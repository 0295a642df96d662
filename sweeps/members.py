"""One member of a sweep, found by what a person calls it. Free of torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from analysis.schema import HYPERPARAMETERS
from gan_core.config import ConfigError, GanConfig
from sweeps.objective import Direction, direction

__all__ = ["BEST", "described", "find_member", "gan_config"]

BEST = "best"
"""How a person names the best trial."""

_LISTED = 12  # numbers in a message, at most


def find_member(
    trials: pd.DataFrame,
    trial: str,
    seed: int | None,
    *,
    best: int | None,
    objective: str,
    kept: Collection[tuple[int, int]] | None = None,
) -> pd.Series:
    """The row of a member that has ended.

    Args:
        trials: `analysis.load(directory).trials`.
        trial: its number, or `BEST`.
        seed: None takes the trial's best by objective.
        best: number of the best trial, None if there is none yet.
        objective: the sweep's.
        kept: the members with weights, if only these will do.

    Raises:
        ConfigError: there is no such member, or its weights were not kept; says what is there.
    """
    rows = trials[trials["trial"] == _number(trials, trial, best)]
    if seed is not None and seed not in set(rows["seed"]):
        has = f"trial {trial} has the seeds {_listed(rows['seed'])}"
        raise ConfigError("--seed", seed, f"there is no such seed; {has}")
    asked = rows if seed is None else rows[rows["seed"] == seed]
    if kept is not None:
        there = [(row["trial"], row["seed"]) in kept for _, row in asked.iterrows()]
        if not any(there):
            raise _without_weights(trial, seed, asked.iloc[0], kept)
        asked = asked[there]
    ascending = direction(objective) is Direction.MINIMIZE
    # A member that diverged has no objective and comes last.
    return asked.sort_values(["objective", "seed"], ascending=[ascending, True]).iloc[0]


def _number(trials: pd.DataFrame, given: str, best: int | None) -> int:
    if given == BEST:
        if best is None:
            raise ConfigError("TRIAL", given, "no trial was trained to its end and is sound, yet")
        return best
    there = f"trials that have ended: {_listed(trials['trial'])}"
    if not given.isdecimal():
        raise ConfigError("TRIAL", given, f'must be a number or "{BEST}"; {there}')
    if int(given) not in set(trials["trial"]):
        raise ConfigError("TRIAL", given, f"there is no such trial; {there}")
    return int(given)


def _without_weights(
    trial: str, seed: int | None, member: pd.Series, kept: Collection[tuple[int, int]]
) -> ConfigError:
    key, value = ("TRIAL", trial) if seed is None else ("--seed", seed)
    had = f"its weights were not kept ({member['status']} at step {member['steps']})"
    seeds = [own for number, own in kept if number == member["trial"]]
    if not kept:
        there = "nor any others"
    elif seeds:
        there = f"of trial {member['trial']} there are those of the seeds {_listed(seeds)}"
    else:
        there = f"there are those of the trials {_listed(number for number, _ in kept)}"
    return ConfigError(key, value, f"{had}; {there}; train.keep_weights chooses")


def _listed(numbers: Iterable[Any]) -> str:
    found = sorted({int(number) for number in numbers})
    more = f", ... ({len(found)} in all)" if len(found) > _LISTED else ""
    return ", ".join(str(number) for number in found[:_LISTED]) + more if found else "none"


def gan_config(member: pd.Series) -> GanConfig:
    """The hyperparameters and the seed in a row of the table of trials."""
    given = {name: member[name] for name in HYPERPARAMETERS if not pd.isna(member[name])}
    plain = {n: v.item() if hasattr(v, "item") else v for n, v in given.items()}
    return GanConfig(**plain, seed=int(member["seed"]))


def described(member: pd.Series) -> str:
    """A member in a few words."""
    value = member["objective"]
    scored = "" if pd.isna(value) else f" with {value:.4g}"
    status = f"{member['status']}{scored} at step {member['steps']}"
    return f"trial {member['trial']} at seed {member['seed']}, {status}"
