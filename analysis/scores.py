"""What each member and each trial is worth, the failed ones included.

A mean over the seeds that happened to live rates luck. So a member that diverged, or whose
objective is not finite, counts as what it is worth, an untrained generator: its own objective
before the first step, or where that is not recorded the control's. It is what Optuna is told
(`sweeps.objective`). A member whose worker died ("failed") says nothing of its hyperparameters and
has no score.

Members are known by (sweep, trial, seed), since trials of several sweeps have the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.schema import HYPERPARAMETERS
from analysis.sweep import check_selected

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = [
    "GREATER_IS_BETTER",
    "TRIAL",
    "as_good_as_none",
    "greater_is_better",
    "is_stopped",
    "member_scores",
    "objective_name",
    "trial_scores",
    "untrained_scores",
    "variants",
    "verdict_of",
]

GREATER_IS_BETTER = (
    "mode_entropy",
    "modes_1pct",
    "hq_share",
    "modes_hit",
    "class_agreement",
    "least_class_agreement",
)
"""Objectives of which more is better; of the others less is."""

TRIAL = ["sweep", "trial"]
_MEMBER = [*TRIAL, "seed"]


def objective_name(sweep: Sweep) -> str:
    """The metric that the sweep was after; `frechet_distance` where its config does not say."""
    return str(sweep.config.get("search", {}).get("objective", "frechet_distance"))


def greater_is_better(sweep: Sweep) -> bool:
    """Whether more of the sweep's objective is better."""
    return objective_name(sweep) in GREATER_IS_BETTER


def member_scores(sweep: Sweep, metric: str | None = None) -> pd.Series:
    """What each member is worth.

    Args:
        sweep: from `analysis.load`.
        metric: another than the objective, as at the member's end.

    Returns:
        float64 on the index of `sweep.trials`; NaN for failed members, and where an untrained
        generator's value is needed and not known.
    """
    trials = sweep.trials
    known = trials["objective" if metric is None else f"final_{metric}"].astype("float64")
    known = known.where(np.isfinite(known) & (trials["status"] != "diverged"))
    lived = known.fillna(untrained_scores(sweep, metric))
    return lived.where(trials["status"] != "failed")


def untrained_scores(sweep: Sweep, metric: str | None = None) -> pd.Series:
    """What each member was worth before its first step.

    Args:
        sweep: from `analysis.load`.
        metric: another than the objective.

    Returns:
        float64 on the index of `sweep.trials`; NaN where it is not known.

    Raises:
        ValueError: the sweep was loaded without the metric's column.
    """
    metric, trials = metric or objective_name(sweep), sweep.trials
    check_selected(sweep, "the score of members that diverged", [metric])
    unknown = pd.Series(np.nan, index=trials.index)
    if metric not in sweep.history:
        return unknown
    start = sweep.history.loc[sweep.history["rung"] == 0, [*_MEMBER, metric]]
    own = trials[_MEMBER].merge(start, on=_MEMBER, how="left")[metric]
    own = pd.Series(own.to_numpy(dtype="float64"), index=trials.index)
    control = sweep.control[sweep.control["kind"] == "untrained"]
    by_sweep = control.dropna(subset=[metric]).drop_duplicates("sweep", keep="last")
    values = by_sweep.set_index("sweep")[metric].astype("float64")
    fallback = trials["sweep"].map(values)
    if len(values) == 1:  # a directory that was renamed while it ran
        fallback = fallback.fillna(values.iloc[0])
    return own.where(np.isfinite(own)).fillna(fallback)


def trial_scores(sweep: Sweep) -> pd.DataFrame:
    """One row per trial, by (sweep, trial): what came of it.

    Returns:
        `sweep`, `trial`, `status` (complete, pruned, diverged or failed), `score`: the objective
        over its seeds as Optuna was told it, of a pruned one where it was ended; the
        hyperparameters. A trial with more diverged seeds than `[search]`
        allows, or without a finite objective, has diverged.
    """
    trials = sweep.trials
    rows = trials[[*TRIAL, *HYPERPARAMETERS]].assign(
        mean=member_scores(sweep),
        told=trials["trial_objective"].where(np.isfinite(trials["trial_objective"])),
        failed=trials["status"] == "failed",
        pruned=trials["status"] == "pruned",
        diverged=trials["status"] == "diverged",
    )
    groups = rows.groupby(TRIAL, dropna=False, sort=True)
    found = groups[["failed", "pruned"]].any()
    shares, told = groups["diverged"].mean(), groups["told"].first()
    allowed = sweep.config.get("search", {}).get("allowed_diverged_share", 1.0)
    status = np.select(
        [found["failed"], found["pruned"], (shares > allowed) | (shares == 1) | told.isna()],
        ["failed", "pruned", "diverged"],
        "complete",
    )
    score = told.fillna(groups["mean"].mean()).where(~found["failed"])
    result = pd.DataFrame({"status": status, "score": score}, index=told.index)
    return result.join(groups[list(HYPERPARAMETERS)].first()).reset_index()


def is_stopped(trials: pd.DataFrame) -> pd.Series:
    """Which trials of `trial_scores` were not trained to a sound end: never the best."""
    return trials["status"].isin(["pruned", "diverged"])


def as_good_as_none(scores: pd.Series, stopped: pd.Series, *, greater: bool) -> pd.Series:
    """The scores, those of stopped trials no better than the worst of the others.

    A pruned trial was ended because it was worse than others at its rung; what it would have
    come to nobody knows. It counts as what it was when it was ended, or as the worst complete
    trial where that is worse or no score is known. With no complete trial the scores stay as
    they are.

    Args:
        scores: of trials.
        stopped: bool, on the same index.
        greater: whether more is better.
    """
    sound = scores[~stopped]
    worst = sound.min() if greater else sound.max()
    if pd.isna(worst):
        return scores
    bounded = scores.clip(upper=worst) if greater else scores.clip(lower=worst)
    return scores.where(~stopped, bounded.fillna(worst))


def variants(frame: pd.DataFrame, by: str | None) -> pd.Series:
    """Which variant each row is of, as text: "all" without `by`, "none" where it has no value.

    Returns:
        Ordered categorical on the index of `frame`: numbers by size, words by alphabet.

    Raises:
        ValueError: there is no such column.
    """
    if by is None:
        return pd.Series("all", index=frame.index, dtype="category").cat.as_ordered()
    if by not in frame:
        right = f"must be a hyperparameter: {', '.join(HYPERPARAMETERS)}"
        raise ValueError(f"by = {by!r}: {right}; or another column of trials")
    values = frame[by]
    names = {value: _text(value) for value in sorted(values.dropna().unique())}
    order = [*dict.fromkeys(names.values()), *(["none"] if values.isna().any() else [])]
    text = values.map(names).astype("object").fillna("none")
    return pd.Series(pd.Categorical(text, categories=order, ordered=True), index=frame.index)


def verdict_of(trials: pd.DataFrame, verdicts: pd.DataFrame) -> pd.Series:
    """The verdict on each member.

    Args:
        trials: rows of members.
        verdicts: from `analysis.verdict.judge`.

    Returns:
        On the index of `trials`; null for members that were not judged yet.

    Raises:
        ValueError: members of several sweeps cannot be told apart in `verdicts`.
    """
    keys = [key for key in _MEMBER if key in verdicts]
    if verdicts.duplicated(keys).any() or ("sweep" not in keys and trials["sweep"].nunique() > 1):
        raise ValueError("verdicts: of several sweeps need a column sweep, and one row per member")
    found = trials[_MEMBER].merge(verdicts[[*keys, "verdict"]], on=keys, how="left")
    return pd.Series(found["verdict"].to_numpy(), index=trials.index)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"
