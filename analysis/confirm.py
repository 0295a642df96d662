"""Which winners of a sweep hold up on seeds that they were not chosen by.

The best of many trials are chosen by their luck too (the winner's curse): what they scored is
better than what they are worth. So `gansweep confirm` trains them again, and here what the sweep
said is held against what the fresh seeds say.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.schema import HYPERPARAMETERS
from analysis.scores import greater_is_better
from analysis.seeds import by_trial
from analysis.verdict import judge

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["Finding", "confirmed"]

_OF_SEEDS = [
    "seeds",
    "judged",
    "failures",
    "failure_rate",
    "failure_low",
    "failure_high",
    "iqm",
    "iqm_low",
    "iqm_high",
    "seed_unstable",
]


class Finding(StrEnum):
    """What fresh seeds say of a configuration; the first that applies."""

    UNSTABLE = "unstable"
    """Training fails on more than a fifth of the seeds, or they differ too much:
    `seed_unstable` of `analysis.seeds.by_trial`."""
    HOLDS_UP = "holds up"
    """What was said lies in the interval of the interquartile mean."""
    BETTER = "better than said"
    """The whole interval is better than what was said."""
    WORSE = "worse than said"
    """The whole interval is worse than what was said."""


def confirmed(
    original: Sweep,
    again: Sweep,
    verdicts: pd.DataFrame | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Holds what a sweep said of its winners against what fresh seeds say of them.

    The finding is about the number that was said. A number of few seeds is off by its own noise
    too: of two seeds of a configuration chosen by nothing it lies outside of the interval of ten
    others in four of ten cases, on either side alike; of the best five of 64 configurations
    that are worth the same in nine of ten, and all of them are worse than said (simulated, with
    normal scores).

    Args:
        original: from `analysis.load`.
        again: of the sweep that confirms it, also while it runs.
        verdicts: on `again`, from `analysis.verdict.judge`; judged here if None.
        confidence: of all intervals.
        resamples: of the bootstrap.
        seed: of its draws.

    Returns:
        One row per configuration, as the original ranks them: `trial`, its number there, and
        `again`, its number here; every hyperparameter; `said`, the objective there, and
        `said_seeds` that it is over; of the fresh seeds the columns of `by_trial`: `seeds`,
        `judged`, `failures`, `failure_rate`, `failure_low`, `failure_high` (Wilson), `iqm`,
        `iqm_low`, `iqm_high` (stratified bootstrap; a diverged seed counts as untrained) and
        `seed_unstable`; `verdicts`, such as "9 healthy, 1 mode_collapse"; `finding`, a value of
        `Finding`. Null where a configuration has not ended yet; the finding also where the two
        sweeps were measured by different extractors, whose numbers cannot be compared.

    Raises:
        ValueError: `again` does not confirm another sweep, or was trained on seeds of the
            original or with other hyperparameters.
    """
    numbers = again.config.get("search", {}).get("confirms", {}).get("trials")
    if numbers is None:
        raise ValueError(f"again: {again.path} confirms no sweep")
    _check_fresh(original, again)
    verdicts = judge(again) if verdicts is None else verdicts
    seeds = by_trial(again, verdicts, confidence=confidence, resamples=resamples, seed=seed)
    rows = _said(original, numbers)
    _check_same(rows, again)
    rows = rows.join(seeds.set_index("trial")[_OF_SEEDS], on="again")
    rows = rows.join(_counted(verdicts).rename("verdicts"), on="again")
    findings = _findings(rows, greater=greater_is_better(original))
    same = _extractors(original) == _extractors(again)
    return rows.assign(finding=findings if same else None)


def _said(original: Sweep, numbers: list[int]) -> pd.DataFrame:
    """What the original has of these trials, in their order."""
    by_number = original.trials.groupby("trial")
    found = by_number[[*HYPERPARAMETERS, "trial_objective"]].first()
    found["said_seeds"] = by_number.size()
    found = found.rename(columns={"trial_objective": "said"}).reindex(numbers)
    found.insert(0, "again", np.arange(len(numbers)))
    return found.rename_axis("trial").reset_index()


def _extractors(sweep: Sweep) -> set[str]:
    return {*sweep.control["extractor"].dropna()}


def _check_fresh(original: Sweep, again: Sweep) -> None:
    shared = sorted({*original.trials["seed"]} & {*again.trials["seed"]})
    if shared:
        right = f"{original.path} was trained on {len(shared)} of them: must have none of those"
        raise ValueError(f"again: has the seeds {shared[0]} to {shared[-1]}; {right}")


def _check_same(said: pd.DataFrame, again: Sweep) -> None:
    """A null in the original is what its version did not record."""
    here = again.trials.groupby("trial")[list(HYPERPARAMETERS)].first()
    for name in HYPERPARAMETERS:
        now = said["again"].map(here[name])
        other = said[name].notna() & now.notna() & (said[name] != now)
        if other.any():
            row = said[other].iloc[0]
            values = f"{now[other].iloc[0]} in {again.path}, {row[name]} in the sweep it confirms"
            raise ValueError(f"{name}: of trial {row['trial']} is {values}; must be the same")


def _counted(verdicts: pd.DataFrame) -> pd.Series:
    """The verdicts of each trial, the most frequent first: "9 healthy, 1 mode_collapse"."""
    counts = verdicts.groupby("trial")["verdict"].value_counts()
    text = counts.astype("str") + " " + counts.index.get_level_values("verdict")
    return text.groupby(level="trial").agg(", ".join)


def _findings(rows: pd.DataFrame, *, greater: bool) -> pd.Series:
    """Text, null where there is no interval."""
    lower, higher = Finding.WORSE, Finding.BETTER
    if not greater:
        lower, higher = higher, lower
    finding = np.select(
        [
            rows["seed_unstable"].fillna(False).astype(bool),
            rows["iqm_high"] < rows["said"],
            rows["iqm_low"] > rows["said"],
            (rows["iqm_low"] <= rows["said"]) & (rows["said"] <= rows["iqm_high"]),
        ],
        [Finding.UNSTABLE.value, lower.value, higher.value, Finding.HOLDS_UP.value],
        "",
    )
    found = pd.Series(finding, index=rows.index, dtype="object")
    return found.mask(found == "", None)
