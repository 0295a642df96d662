"""Every table of a sweep that the report shows, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.budget import budget_curve
from analysis.compare import failure_rate, leaderboard
from analysis.importance import importances
from analysis.regions import failure_map, stable_range
from analysis.schema import HYPERPARAMETERS
from analysis.scores import greater_is_better, objective_name
from analysis.seeds import by_trial
from analysis.tally import tally
from analysis.trajectories import bands, mode_coverage
from analysis.variants import by_variant, improvement, progress
from analysis.verdict import judge
from analysis.window import MEMBER

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["RATES", "Tables", "gather", "varied"]

RATES = ("lr_g", "lr_d")


@dataclass(frozen=True, eq=False)
class Tables:
    """A sweep and what analysis makes of it; see the functions for the columns."""

    sweep: Sweep
    objective: str
    greater: bool
    """Whether more of the objective is better."""
    by: str
    """The hyperparameter whose values are the variants: the loss if the sweep has several."""
    verdicts: pd.DataFrame
    members: pd.DataFrame
    """The trials with their verdicts, one row per member that has ended."""
    failures: pd.Series
    """`analysis.compare.failure_rate`."""
    best: pd.DataFrame
    """`analysis.compare.leaderboard` of all trials."""
    trials: pd.DataFrame
    """`analysis.seeds.by_trial`."""
    tally: pd.DataFrame
    variants: pd.DataFrame
    improvement: pd.DataFrame
    progress: pd.DataFrame
    bands: pd.DataFrame
    bands_by_loss: pd.DataFrame
    coverage: pd.DataFrame
    budget: pd.DataFrame
    budget_by_variant: pd.DataFrame
    importances: pd.DataFrame
    maps: dict[str, pd.DataFrame]
    """`analysis.regions.failure_map` for each rate that was searched."""
    ranges: dict[str, pd.DataFrame]
    """`analysis.regions.stable_range`, likewise."""

    @property
    def is_empty(self) -> bool:
        """Whether no member has ended yet."""
        return self.members.empty

    @property
    def asked_trials(self) -> int | None:
        """How many trials the sweep is to have; None where its config does not say."""
        asked = self.sweep.config.get("search", {}).get("trials")
        return int(asked) if isinstance(asked, int) else None

    @property
    def is_running(self) -> bool:
        """Whether fewer trials have ended than were asked for."""
        asked = self.asked_trials
        return asked is not None and self.sweep.trials["trial"].nunique() < asked

    def control(self, kind: str, metric: str) -> float:
        """What real data or an untrained generator scores; NaN where it is not known."""
        rows = self.sweep.control
        values = rows.loc[rows["kind"] == kind, metric] if metric in rows else rows["kind"][:0]
        return float(values.iloc[-1]) if len(values) and values.notna().iloc[-1] else np.nan


def gather(sweep: Sweep) -> Tables:
    """Judges a sweep and computes every table of it."""
    verdicts = judge(sweep)
    by = _by(sweep.trials)
    rates = [rate for rate in RATES if sweep.trials[rate].nunique() > 1]
    words = verdicts[[*MEMBER, "verdict"]]
    return Tables(
        sweep=sweep,
        objective=objective_name(sweep),
        greater=greater_is_better(sweep),
        by=by,
        verdicts=verdicts,
        members=sweep.trials.merge(words, on=MEMBER, how="left"),
        failures=failure_rate(verdicts).iloc[0],
        best=leaderboard(sweep, n=len(sweep.trials)),
        trials=by_trial(sweep, verdicts),
        tally=tally(sweep, verdicts, by=by),
        variants=by_variant(sweep, verdicts, by=by),
        improvement=improvement(sweep, by=by),
        progress=progress(sweep, by=by, against="g_updates"),
        bands=bands(sweep, verdicts),
        bands_by_loss=bands(sweep, verdicts, columns=("d_loss_mean", "g_loss_mean"), by="loss"),
        coverage=mode_coverage(sweep, verdicts),
        budget=budget_curve(sweep),
        budget_by_variant=budget_curve(sweep, by=by),
        importances=importances(sweep, verdicts),
        maps={rate: failure_map(sweep, verdicts, x=rate, by=by) for rate in rates},
        ranges={rate: stable_range(sweep, verdicts, x=rate, by=by) for rate in rates},
    )


def varied(trials: pd.DataFrame) -> list[str]:
    """Hyperparameters that differ between trials, a null one counting as a value of its own.

    What follows from the loss (as wgan-gp has its penalty) is left out.
    """
    names = [
        name
        for name in HYPERPARAMETERS
        if name in trials and trials[name].nunique(dropna=False) > 1
    ]
    by_loss = trials.groupby("loss")
    return [
        name
        for name in names
        if name == "loss" or by_loss[name].nunique(dropna=False).gt(1).any() or "loss" not in names
    ]


def _by(trials: pd.DataFrame) -> str:
    """What divides a sweep into variants: the first name that it varies, or the loss."""
    kinds = ("loss", "penalty", "d_norm", "lr_schedule")
    return next((name for name in kinds if trials[name].nunique() > 1), "loss")
