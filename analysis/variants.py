"""Losses, or the values of another hyperparameter, held against each other.

A variant is the text of a value; where it is null ("does not apply", "no penalty"), "none".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.failures import failure_rates
from analysis.intervals import bootstrap, interquartile_mean, stratified_bootstrap
from analysis.scores import (
    TRIAL,
    greater_is_better,
    member_scores,
    objective_name,
    trial_scores,
    untrained_scores,
    variants,
    verdict_of,
)
from analysis.sweep import check_selected

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["AGAINST", "by_variant", "improvement", "progress"]

AGAINST = ("g_updates", "d_updates", "seconds")
"""What training costs, per member: updates of G, of D (`d_steps` for one of G), wall time since
it was admitted to its cohort, whose members share it."""

_POINTS = 101  # of a curve
_MOST_POINTS = 201  # that are drawn as they were measured

_MEMBER = [*TRIAL, "seed"]
_CURVE = ("best", "low", "high")


def by_variant(
    sweep: Sweep,
    verdicts: pd.DataFrame,
    *,
    by: str = "loss",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """What became of each variant over all of its trials.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.verdict.judge`.
        by: a hyperparameter, or another column of trials.
        confidence: of all intervals.
        resamples: of the bootstrap.
        seed: of its draws.

    Returns:
        One row per variant:
        variant, trials, members, judged: members that are healthy or failed.
        failures, failure_rate, failure_low, failure_high: of the judged, with the Wilson
            interval, which takes the seeds of a trial for independent.
        iqm, iqm_low, iqm_high: interquartile mean of the members' objectives with its bootstrap
            interval under other seeds of the same trials (`stratified_bootstrap`); other trials
            would vary more, as the interval of `improvement` does. A diverged member counts as
            untrained, a pruned one as what it was when it was ended: it is how good the variant
            is to search, not how good its best trials are.
        best: objective of its best complete trial; NaN without one.
    """
    trials = sweep.trials
    groups = variants(trials, by).rename("variant")
    rates = failure_rates(verdict_of(trials, verdicts), [groups], confidence=confidence)
    names = {name: f"failure_{name}" for name in ("rate", "low", "high")}
    members = trials[TRIAL].assign(
        variant=groups, score=member_scores(sweep), stratum=_trial_codes(trials)
    )
    rows = []
    for _, rest in members.groupby("variant", observed=False):
        scored = rest.dropna(subset="score")
        values, strata = scored["score"].to_numpy(), scored["stratum"].to_numpy()
        low, high = stratified_bootstrap(
            values, strata, confidence=confidence, resamples=resamples, seed=seed
        )
        iqm = interquartile_mean(values)
        rows.append((rest["stratum"].nunique(), iqm, low, high))
    columns = ["trials", "iqm", "iqm_low", "iqm_high"]
    means = pd.DataFrame(rows, index=rates.index, columns=columns)
    table = rates.rename(columns=names).join(means.astype({"trials": "int64"}))
    table["best"] = _best(sweep, trials, groups)
    return _as_text(table.reset_index())[
        ["variant", "trials", *rates.rename(columns=names), *columns[1:], "best"]
    ]


def improvement(
    sweep: Sweep,
    *,
    by: str = "loss",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """How likely a random member of one variant is better than one of another.

    P(a better than b) + P(a as good as b) / 2 over all pairs of members, the Mann-Whitney
    statistic: the probability of improvement of Agarwal et al. 2021 (arXiv:2108.13264, sec. 4.3).
    A diverged member counts as untrained, a pruned one as what it was when it was ended.

    Args:
        sweep: from `analysis.load`.
        by: a hyperparameter, or another column of trials.
        confidence: of the intervals.
        resamples: of the bootstrap, which draws as many trials of each variant as it has, all
            seeds of each together: whether one is better than the other depends most on which
            trials there happen to be.
        seed: of its draws.

    Returns:
        One row per ordered pair of variants: `a`, `b`, `probability`, `low`, `high`. The interval
        is NaN where one has a single trial.
    """
    groups, costs = variants(sweep.trials, by), _sign(sweep) * member_scores(sweep)
    known = costs.notna()
    groups, costs = groups[known], costs[known]
    names = list(groups.cat.categories)
    values, codes = costs.to_numpy(), groups.cat.codes.to_numpy()
    pairs = list(combinations(range(len(names)), 2))
    if not pairs or not len(values):
        rows = [(names[a], names[b], *[np.nan] * 3) for a, b in pairs]
    else:
        statistic = _pair_probabilities(values, codes, pairs)
        found = statistic(np.ones((1, len(values)), dtype=np.int64))[0]
        keys = [*(sweep.trials.loc[known, key] for key in TRIAL), codes]
        units = costs.groupby(keys, dropna=False)
        unit, variant = units.ngroup().to_numpy(), units.mean().index.get_level_values(-1)
        low, high = bootstrap(
            lambda counts: statistic(counts[:, unit]),
            units.mean().to_numpy(),
            variant,
            pools=variant,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
        trials = np.bincount(variant, minlength=len(names))
        lone = np.array([min(trials[a], trials[b]) < 2 for a, b in pairs])
        low, high = np.where(lone, np.nan, low), np.where(lone, np.nan, high)
        ends = zip(pairs, found, low, high, strict=True)
        rows = [(names[a], names[b], *three) for (a, b), *three in ends]
    both = rows + [(b, a, 1 - p, 1 - high, 1 - low) for a, b, p, low, high in rows]
    table = pd.DataFrame(both, columns=["a", "b", "probability", "low", "high"])
    order = {name: i for i, name in enumerate(names)}
    table = table.sort_values(["a", "b"], key=lambda name: name.map(order), ignore_index=True)
    return table.astype(dict.fromkeys("ab", "str"))


def progress(sweep: Sweep, *, by: str = "loss", against: str = "g_updates") -> pd.DataFrame:
    """The best objective so far over what it cost, as medians over the members of a variant.

    A member that was ended (pruned, diverged) goes on with the best it had, so that a curve does
    not get better because the poor ones leave. Members still in training are left out.

    Args:
        sweep: from `analysis.load`.
        by: a hyperparameter, or another column of trials.
        against: one of `AGAINST`.

    Returns:
        By variant and cost: `variant`, a column named like `against`, `best` (the median), `low`
        and `high` (the quartiles). The costs are those of the rungs, or where there are too many
        even steps of them.

    Raises:
        ValueError: `against` or `by` is no such column, or the sweep was loaded without one that
            this needs.
    """
    if against not in AGAINST:
        raise ValueError(f"against = {against!r}: must be one of {', '.join(AGAINST)}")
    trials = sweep.trials
    rungs = _rungs(sweep, against)
    groups = variants(trials, by)
    sign, parts = _sign(sweep), []
    for name in groups.cat.categories:
        inside = np.flatnonzero(groups == name)
        rows = rungs[rungs["member"].isin(inside)]
        if rows.empty:
            continue
        grid, costs = _curves(rows)
        quartiles = sign * np.nanquantile(costs, [0.25, 0.5, 0.75], axis=0)
        low, high = np.sort(quartiles[[0, 2]], axis=0)
        columns = {"variant": name, against: grid, "best": quartiles[1], "low": low, "high": high}
        parts.append(pd.DataFrame(columns))
    columns = {"variant": "str", against: "float64", **dict.fromkeys(_CURVE, "float64")}
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns))
    return table.astype(columns)


def _sign(sweep: Sweep) -> int:
    """By which an objective becomes a cost."""
    return -1 if greater_is_better(sweep) else 1


def _trial_codes(trials: pd.DataFrame) -> np.ndarray:
    """The number of each member's trial."""
    return trials.groupby(TRIAL, dropna=False).ngroup().to_numpy()


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"variant": "str"})


def _best(sweep: Sweep, trials: pd.DataFrame, groups: pd.Series) -> pd.Series:
    """Of each variant the best score of a complete trial."""
    variant = trials[TRIAL].assign(variant=groups).drop_duplicates(TRIAL)
    scored = trial_scores(sweep).merge(variant, on=TRIAL)
    complete = scored[scored["status"] == "complete"].groupby("variant", observed=False)["score"]
    return complete.max() if greater_is_better(sweep) else complete.min()


def _pair_probabilities(
    values: np.ndarray, codes: np.ndarray, pairs: list[tuple[int, int]]
) -> Callable[[np.ndarray], np.ndarray]:
    """The statistic of `improvement`: [draws, n] counts to [draws, pairs], NaN without members.

    1 - P = (number of pairs in which b is less, and half of those that are equal) / pairs: for
    each member of a, how many of b are below it and at it, from the counts' cumulative sums.
    """
    members = {}
    for code in {code for pair in pairs for code in pair}:
        inside = np.flatnonzero(codes == code)
        members[code] = inside[np.argsort(values[inside], kind="stable")]
    ends = {}
    for a, b in pairs:
        mine, others = values[members[a]], values[members[b]]
        below, upto = (np.searchsorted(others, mine, side) for side in ("left", "right"))
        # Without ties, which is the rule, there is half as much to look up.
        ends[a, b] = (below, below) if (below == upto).all() else (below, upto)

    def statistic(counts: np.ndarray) -> np.ndarray:
        # Whole numbers, exact in float64, which is the fastest to sum.
        drawn = {code: counts[:, inside].astype(np.float64) for code, inside in members.items()}
        padded = {code: np.pad(part, ((0, 0), (1, 0))) for code, part in drawn.items()}
        sums = {code: np.cumsum(part, axis=1) for code, part in padded.items()}
        result = np.full((len(counts), len(pairs)), np.nan)
        for column, (a, b) in enumerate(pairs):
            below, upto = ends[a, b]
            if not len(members[a]) or not len(members[b]):
                continue
            lost = np.take(sums[b], below, axis=1)
            lost += lost if upto is below else np.take(sums[b], upto, axis=1)
            size = sums[a][:, -1] * sums[b][:, -1]
            result[:, column] = 1 - np.einsum("ij,ij->i", drawn[a], lost) / (2 * size)
        return result

    return statistic


def _rungs(sweep: Sweep, against: str) -> pd.DataFrame:
    """What ended members had reached and at which cost: `member` (its row of trials), `x`, `cost`.

    Every member begins at 0 as untrained, if it is known how good that is.
    """
    trials, metric, sign = sweep.trials, objective_name(sweep), _sign(sweep)
    known = trials[_MEMBER].assign(
        member=np.arange(len(trials)), d_steps=trials["d_steps"].astype("float64").fillna(1)
    )
    columns = [*_MEMBER, "step", "seconds", metric]
    check_selected(sweep, "progress", columns)
    rungs = sweep.history[columns].merge(known, on=_MEMBER)
    x = {
        "g_updates": rungs["step"],
        "d_updates": rungs["step"] * rungs["d_steps"],
        "seconds": rungs["seconds"],
    }[against]
    measured = pd.DataFrame(
        {"member": rungs["member"], "x": x.astype("float64"), "cost": sign * rungs[metric]}
    )
    start = pd.DataFrame(
        {"member": known["member"], "x": 0.0, "cost": sign * untrained_scores(sweep)}
    )
    rows = pd.concat([start, measured], ignore_index=True)
    return rows[np.isfinite(rows["x"]) & np.isfinite(rows["cost"])]


def _curves(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The least cost so far of each member.

    Args:
        rows: `member`, `x`, `cost`.

    Returns:
        [points], of x; [members, points], NaN before the first cost of a member.
    """
    rows = rows.sort_values(["member", "x"])
    least = rows.groupby("member")["cost"].cummin().to_numpy()
    x, (member, _) = rows["x"].to_numpy(), pd.factorize(rows["member"])
    grid = np.unique(x)
    if len(grid) > _MOST_POINTS:
        grid = np.linspace(0, grid[-1], _POINTS)
    # One search over all members: theirs are apart by 1, and their costs within half of it.
    scale = 2 * max(grid[-1], np.finfo(float).tiny)
    wanted = np.arange(member.max() + 1)[:, None] + grid / scale
    found = np.searchsorted(member + x / scale, wanted, side="right") - 1
    costs = np.where(member[found] == np.arange(len(wanted))[:, None], least[found], np.nan)
    seen = np.isfinite(costs).any(axis=0)
    return grid[seen], costs[:, seen]
