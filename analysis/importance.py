"""Which hyperparameters decide: over the objective, over collapse and over failing at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.failures import is_failure, is_judged
from analysis.location import locate, plain_errors
from analysis.rules import Verdict
from analysis.schema import HYPERPARAMETERS, IMPORTANCES
from analysis.scores import (
    TRIAL,
    as_good_as_none,
    greater_is_better,
    is_stopped,
    trial_scores,
    verdict_of,
)

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["LEAST_TRIALS", "TARGETS", "importances"]

TARGETS = ("objective", "collapse", "stability")
"""objective: where a trial stands among the others. collapse: the share of its judged members that
have lost modes, partly or severely. stability: the share that failed in any way."""

LEAST_TRIALS = 10
"""Trials below which nothing is said."""

_COLLAPSES = (Verdict.PARTIAL_COLLAPSE.value, Verdict.MODE_COLLAPSE.value)
_MOST_TRIALS = 1000  # that a forest is grown on: more take long and change little
_FOLDS, _TREES, _PERMUTATIONS = 5, 40, 5
_LEAVES = 50  # of a tree, about
_COLUMNS = ["target", "hyperparameter", "importance", "method"]


def importances(
    sweep: Sweep, verdicts: pd.DataFrame, *, recompute: bool = False, seed: int = 0
) -> pd.DataFrame:
    """How much of each target every searched hyperparameter decides.

    Method "optuna": PED-ANOVA on the complete trials, as the sweep wrote it at the end of its
    last run (`sweeps.importances`); it knows of the objective alone. Method "forest": random
    forests grown on four fifths of the trials, and by how much their squared error on the last
    fifth grows where one hyperparameter is shuffled (Breiman 2001, Mach. Learn. 45:5-32, sec. 10).
    What correlated hyperparameters decide together neither can divide, and under a sampler that
    learns they correlate.

    In the forests the objective is a rank, so that a few huge values do not decide, and trials
    that were pruned or diverged stand behind all others. A number that a trial does not have
    (`gp_weight` without that penalty) is drawn from those that the others have: noise, which
    leaves the credit for whether it applies to what decides that.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.verdict.judge`.
        recompute: whether to grow forests even where Optuna's numbers are there.
        seed: of the forests.

    Returns:
        By target, the greatest first: `target`, `hyperparameter`, `importance` (>= 0, summing to
        1 over a target), `method`. A target has no rows where nothing can be told: with fewer
        than ten trials, where it is the same for all, and where what a forest learned does not
        help on trials that it has not seen.
    """
    parts = [] if recompute else [_written(sweep)]
    names = _searched(sweep)
    known = {target for part in parts for target in part["target"]}
    for target, rows in _targets(sweep, verdicts).items():
        if target not in known:
            parts.append(_grown(target, rows, names, seed))
    found = [part for part in parts if len(part)] or [pd.DataFrame(columns=_COLUMNS)]
    table = pd.concat(found, ignore_index=True)
    order = {target: i for i, target in enumerate(TARGETS)}
    table = table.assign(order=table["target"].map(order))
    keys = ["order", "importance", "hyperparameter"]
    table = table.sort_values(keys, ascending=[True, False, True], ignore_index=True)
    return table[_COLUMNS].astype(dict.fromkeys(_COLUMNS, "str") | {"importance": "float64"})


@dataclass(frozen=True, eq=False)
class _Target:
    """A number to explain, for some of the trials."""

    trials: pd.DataFrame
    """Their hyperparameters."""
    values: np.ndarray
    weights: np.ndarray
    """How many members stand behind each value."""


def _targets(sweep: Sweep, verdicts: pd.DataFrame) -> dict[str, _Target]:
    scored = trial_scores(sweep)
    scored = scored[scored["status"] != "failed"]
    greater = greater_is_better(sweep)
    counted = as_good_as_none(scored["score"], is_stopped(scored), greater=greater)
    ranks = counted.rank(pct=True).dropna()
    trials = scored.loc[ranks.index]
    verdict = verdict_of(sweep.trials, verdicts)
    members = sweep.trials[TRIAL].assign(
        judged=is_judged(verdict), collapse=verdict.isin(_COLLAPSES), stability=is_failure(verdict)
    )
    counts = members.groupby(TRIAL, dropna=False).sum().reset_index()
    judged = scored.merge(counts[counts["judged"] > 0], on=TRIAL)
    weights = judged["judged"].to_numpy(dtype="float64")
    targets = {"objective": _Target(trials, ranks.to_numpy(), np.ones(len(ranks)))}
    for name in ("collapse", "stability"):
        targets[name] = _Target(judged, judged[name].to_numpy(dtype="float64") / weights, weights)
    return targets


def _searched(sweep: Sweep) -> list[str]:
    """The hyperparameters that the config searches, or all of them where it does not say."""
    space = sweep.config.get("space", {})
    searched = [name for name in HYPERPARAMETERS if isinstance(space.get(name), dict)]
    return searched or list(HYPERPARAMETERS)


def _grown(target: str, rows: _Target, names: list[str], seed: int) -> pd.DataFrame:
    """Importances by forests: rows of the table, none where nothing can be told."""
    generator = np.random.default_rng([seed, TARGETS.index(target)])
    kept = np.sort(generator.permutation(len(rows.values))[:_MOST_TRIALS])
    values, weights = rows.values[kept], rows.weights[kept]
    if len(kept) < LEAST_TRIALS or np.ptp(values) == 0:
        return _table(target, {})
    features = {}
    for name in names:
        codes = _codes(rows.trials[name].iloc[kept], generator)
        if len(codes) and np.ptp(codes) > 0:
            features[name] = codes
    if not features:
        return _table(target, {})
    increases = _increases(np.column_stack(list(features.values())), values, weights, generator)
    return _table(target, dict(zip(features, increases, strict=True)))


def _table(target: str, increases: dict[str, float]) -> pd.DataFrame:
    positive = {name: max(value, 0.0) for name, value in increases.items()}
    total = sum(positive.values())
    shares = [(target, name, v / total, "forest") for name, v in positive.items() if total > 0]
    return pd.DataFrame(shares, columns=_COLUMNS).astype({"importance": "float64"})


def _codes(values: pd.Series, generator: np.random.Generator) -> np.ndarray:
    """A hyperparameter in numbers: [trials], or none where no trial has it.

    The order of words means nothing, but a tree separates any of them. That a word is missing is
    one itself: no penalty.
    """
    if not pd.api.types.is_numeric_dtype(values):
        return pd.factorize(values, sort=True, use_na_sentinel=False)[0].astype("float64")
    numbers = values.to_numpy(dtype="float64", na_value=np.nan, copy=True)
    missing = np.isnan(numbers)
    if missing.all():
        return np.empty(0)
    numbers[missing] = generator.choice(numbers[~missing], size=missing.sum())
    return numbers


def _increases(
    features: np.ndarray, values: np.ndarray, weights: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """By how much the squared error on unseen trials grows with each feature shuffled.

    Args:
        features: [trials, features].
        values: [trials].
        weights: [trials].
        generator: of the folds, the forests and the shuffling.

    Returns:
        [features]; all 0 where the forests know no more of unseen trials than their mean.
    """
    from sklearn.ensemble import RandomForestRegressor  # a second, which others need not take

    n, width = features.shape
    # Large leaves for many trials: seeds are luck, and trees that follow it know less than none.
    leaf = max(2, n // _LEAVES)
    fold = generator.permutation(np.arange(n) % _FOLDS)
    error, naive, shuffled = 0.0, 0.0, np.zeros(width)
    for k in range(_FOLDS):
        seen, unseen = fold != k, fold == k
        state = int(generator.integers(2**31))
        forest = RandomForestRegressor(_TREES, min_samples_leaf=leaf, random_state=state)
        forest.fit(features[seen], values[seen], sample_weight=weights[seen])
        mean = np.average(values[seen], weights=weights[seen])
        rows = [features[unseen], *_shuffles(features[unseen], generator)]
        predicted = forest.predict(np.concatenate(rows)).reshape(len(rows), -1)
        errors = (predicted - values[unseen]) ** 2 @ weights[unseen]
        error += errors[0]
        naive += (values[unseen] - mean) ** 2 @ weights[unseen]
        shuffled += errors[1:].reshape(width, _PERMUTATIONS).mean(axis=1)
    return shuffled - error if error < naive else np.zeros(width)


def _shuffles(features: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """The features with the first shuffled, `_PERMUTATIONS` times; with the second; and so on."""
    copies = []
    for column in range(features.shape[1]):
        for _ in range(_PERMUTATIONS):
            copy = features.copy()
            copy[:, column] = generator.permutation(copy[:, column])
            copies.append(copy)
    return copies


def _written(sweep: Sweep) -> pd.DataFrame:
    """What the sweep wrote: rows of the table, none for several sweeps at once."""
    import pyarrow.parquet as pq

    empty = pd.DataFrame(columns=_COLUMNS)
    if sweep.trials["sweep"].nunique() > 1:
        return empty
    location = sweep.location or locate(sweep.path)
    folder, filesystem = f"{location.root}/importances", location.filesystem
    try:
        with plain_errors(location.name):
            rows = pq.read_table(folder, filesystem=filesystem, schema=IMPORTANCES).to_pandas()
    except FileNotFoundError:
        return empty
    newest = rows["written_at"].isna() | (rows["written_at"] == rows["written_at"].max())
    rows = rows[newest & rows["target"].isin(TARGETS)]
    return rows.assign(method="optuna")[_COLUMNS]
