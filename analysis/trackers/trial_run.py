"""An ended trial as a tracker's run: parameters, curves, scores, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.schema import (
    END_METRICS,
    HYPERPARAMETERS,
    METRICS,
    SIGNALS,
    SPECTRAL_NORMS,
)

if TYPE_CHECKING:
    from analysis.sweep import Sweep

__all__ = ["Picture", "TrialRun", "trial_runs"]

_CURVES = (*METRICS, *SPECTRAL_NORMS, *(f"{signal}_mean" for signal in SIGNALS))
_SCORES = (*(f"final_{name}" for name in (*METRICS, *END_METRICS)), "steps", "seconds")


@dataclass(frozen=True)
class Picture:
    """A grid of a member's samples."""

    name: str
    step: int
    png: bytes


@dataclass(frozen=True)
class TrialRun:
    """One trial.

    Its seeds are `seed1`, `seed2`, ... in the names of curves, scores and pictures: a seed's own
    number is another in every trial, and names must be alike to be compared.
    """

    sweep: str
    trial: int
    parameters: dict[str, float | int | str]
    """The hyperparameters that the trial has, the dataset and the architecture."""
    tags: dict[str, str]
    """What is said in words: the seeds' numbers, statuses, verdicts and errors."""
    curves: dict[str, list[tuple[int, float]]]
    """By name such as "frechet_distance/seed1": (step, value), finite ones alone."""
    scores: dict[str, float]
    """One number each: `objective`, over all seeds with the diverged ones counted as untrained,
    and the final metrics by seed."""
    pictures: list[Picture]
    began: datetime
    ended: datetime

    @property
    def name(self) -> str:
        """Sorts by number."""
        return f"trial-{self.trial:05d}"


def trial_runs(sweep: Sweep, verdicts: pd.DataFrame, trials: set[int]) -> Iterator[TrialRun]:
    """The runs of ended trials, in the order of their numbers.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.judge`.
        trials: their numbers; such as have not ended are left out.
    """
    words: dict[Any, str] = {(v.trial, v.seed): str(v.verdict) for v in verdicts.itertuples()}
    histories = dict(_by(sweep.history, "trial", trials))
    pictures = dict(_by(sweep.samples, "trial", trials)) if len(sweep.samples) else {}
    for trial, members in _by(sweep.trials, "trial", trials):
        yield _run(sweep.name, trial, members, words, histories.get(trial), pictures.get(trial))


def _by(frame: pd.DataFrame, column: str, values: Iterable[int]) -> Iterator[tuple[int, Any]]:
    """The rows of each of these values, in the values' order."""
    groups: Any = frame[frame[column].isin(list(values))].groupby(column)
    return ((int(value), rows) for value, rows in groups)


def _run(
    sweep: str,
    trial: int,
    members: pd.DataFrame,
    words: dict[Any, str],
    history: pd.DataFrame | None,
    pictures: pd.DataFrame | None,
) -> TrialRun:
    order = {int(seed): f"seed{i}" for i, seed in enumerate(sorted(members["seed"]), 1)}
    seconds = members["seconds"].max()
    ended, began = _between(members["ended_at"].max(), 0.0 if pd.isna(seconds) else seconds)
    return TrialRun(
        sweep=sweep,
        trial=trial,
        parameters=_parameters(members.iloc[0]),
        tags=_tags(members, order, words),
        curves={} if history is None else _curves(history, order),
        scores=_scores(members, order),
        pictures=[] if pictures is None else _pictures(pictures, order),
        began=began,
        ended=ended,
    )


def _between(end: Any, seconds: float) -> tuple[datetime, datetime]:
    """The end, 1970 where it is not known, and the beginning."""
    ended = pd.Timestamp(0, tz="UTC") if pd.isna(end) else pd.Timestamp(end)
    began = ended - pd.Timedelta(seconds=seconds)
    # A datetime has no nanoseconds.
    return ended.floor("us").to_pydatetime(), began.floor("us").to_pydatetime()


def _parameters(member: pd.Series) -> dict[str, Any]:
    names = (*HYPERPARAMETERS, "dataset", "architecture")
    return {name: _plain(member[name]) for name in names if not pd.isna(member[name])}


def _plain(value: Any) -> float | int | str:
    """A Python value, of a NumPy one."""
    return value.item() if hasattr(value, "item") else value


def _tags(members: pd.DataFrame, order: dict[int, str], words: dict[Any, str]) -> dict[str, str]:
    tags = {"status": " ".join(sorted(set(members["status"])))}
    row: Any
    for row in members.itertuples():
        name = order[row.seed]
        tags[name] = str(row.seed)
        tags[f"verdict.{name}"] = words.get((row.trial, row.seed), "undetermined")
        if isinstance(row.error, str):
            tags[f"error.{name}"] = row.error
    return tags


def _curves(history: pd.DataFrame, order: dict[int, str]) -> dict[str, list[tuple[int, float]]]:
    return {
        f"{column}/{order[seed]}": points
        for seed, rows in _by(history, "seed", order)
        for column in _CURVES
        if column in rows and (points := _points(rows["step"], rows[column]))
    }


def _points(steps: pd.Series, values: pd.Series) -> list[tuple[int, float]]:
    pairs = zip(steps, values, strict=True)
    return [(int(step), float(value)) for step, value in pairs if not pd.isna(value)]


def _scores(members: pd.DataFrame, order: dict[int, str]) -> dict[str, float]:
    scores = {"objective": members["trial_objective"].iloc[0]}
    for _, member in members.iterrows():
        scores |= {f"{name}/{order[member['seed']]}": member[name] for name in _SCORES}
    return {name: float(value) for name, value in scores.items() if not pd.isna(value)}


def _pictures(samples: pd.DataFrame, order: dict[int, str]) -> list[Picture]:
    return [
        Picture(f"samples/{order[seed]}", int(step), png)
        for seed, rows in _by(samples, "seed", order)
        for step, png in zip(rows["step"], rows["png"], strict=True)
    ]
