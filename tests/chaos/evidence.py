"""What a sweep has left, read with pandas and Optuna alone; and what was asked of it."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState

__all__ = ["Asked", "Evidence", "Told", "newest", "rows_of", "times_ended", "told_by"]

SEEDS_APART = 1_000_000  # of two sweeps whose seeds follow each other
SETS_STATE = 6  # the operation in Optuna's journal


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Of the sweep."""

    trials: int
    seeds: int
    """Members per trial."""
    seed: int
    """The sweep's own."""
    steps: int
    every: int
    """Steps between rungs."""

    def members(self) -> set[tuple[int, int]]:
        """(trial, seed) of all."""
        first = self.seed * SEEDS_APART
        return {(n // self.seeds, first + n) for n in range(self.trials * self.seeds)}


@dataclass(frozen=True, kw_only=True)
class Told:
    """A trial as the study has it."""

    trial: int
    state: str
    outcome: str | None
    values: Mapping[int, float]
    """By step."""
    value: float | None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    trials: pd.DataFrame
    history: pd.DataFrame
    samples: pd.DataFrame
    study: tuple[Told, ...]
    ends: Counter[int]
    """How often each trial's end was written; empty where the study does not say."""
    networks: frozenset[tuple[int, int]]
    """(trial, seed) of those that are kept."""


def rows_of(place: str, filesystem: Any, table: str) -> pd.DataFrame:
    """All rows of a table, whatever the attempt."""
    return pd.read_parquet(f"{place}/{table}", filesystem=filesystem)


def newest(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of the attempt by which each trial ended, as they are: what is double stays so."""
    last = trials.groupby("trial")["attempt"].max()
    current = rows["attempt"] == rows["trial"].map(last)
    order = [name for name in ("trial", "seed", "rung", "step") if name in rows]
    return rows[current].sort_values(order, kind="stable").reset_index(drop=True)


def told_by(study: optuna.Study) -> tuple[Told, ...]:
    return tuple(
        Told(
            trial=trial.number,
            state=trial.state.name,
            outcome=trial.user_attrs.get("outcome"),
            values=trial.intermediate_values,
            value=trial.value if trial.state is TrialState.COMPLETE else None,
        )
        for trial in study.get_trials()
    )


def times_ended(journal: Path) -> Counter[int]:
    """How often a journal says of each trial that it ended."""
    unfinished = {TrialState.RUNNING.value, TrialState.WAITING.value}
    ends: Counter[int] = Counter()
    for line in journal.read_text().splitlines():
        operation = json.loads(line)
        is_end = operation["op_code"] == SETS_STATE and operation["state"] not in unfinished
        ends[operation.get("trial_id", -1)] += is_end
    return +ends
