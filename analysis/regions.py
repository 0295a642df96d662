"""Where in the space training fails, and how wide the part is in which it does not."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.failures import failure_rates, is_failure, is_judged
from analysis.scores import variants, verdict_of

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["STABLE_FAILURES", "failure_map", "stable_range"]

STABLE_FAILURES = 0.2
"""Greatest share of members that fail in a stable range; ours, as `analysis.seeds`."""

_DECADE = 10.0


def failure_map(
    sweep: Sweep, verdicts: pd.DataFrame, *, x: str = "lr_g", by: str = "loss", bins: int = 8
) -> pd.DataFrame:
    """How often each variant fails, over a hyperparameter that is a number.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.verdict.judge`.
        x: the hyperparameter; members that do not have it are left out.
        by: another one, whose values are the variants.
        bins: into how many its range is cut, the same for all variants. The range is what the
            config searches, or else what there is; the cuts are even, on a logarithmic scale
            where the config searches it so, or where it says nothing and a decade or more is
            covered.

    Returns:
        One row per variant and bin, empty ones too: `variant`; `low` and `high`, the ends of the
        bin, the lower one inside it and the upper one too in the last; `members`, `judged`
        (healthy or failed), `failures`, `rate` (of the judged, NaN where there are none). A
        hyperparameter of a single value has one bin, of no width.
    """
    if bins < 1:
        raise ValueError(f"bins = {bins}: must be > 0")
    members = _members(sweep, verdicts, x, by)
    edges = _edges(members["x"].to_numpy(), sweep.config.get("space", {}).get(x), bins)
    count = len(edges) - 1
    place = np.clip(np.searchsorted(edges, members["x"], side="right") - 1, 0, max(count - 1, 0))
    cells = pd.Series(pd.Categorical(place, categories=range(count)), members.index, name="bin")
    variant = members["variant"].cat.remove_unused_categories()
    rates = failure_rates(members["verdict"], [variant, cells]).reset_index()
    at = rates["bin"].astype("int64").to_numpy()
    table = rates.assign(low=edges[at], high=edges[at + 1]).astype({"variant": "str"})
    return table[["variant", "low", "high", "members", "judged", "failures", "rate"]]


def stable_range(
    sweep: Sweep,
    verdicts: pd.DataFrame,
    *,
    x: str = "lr_g",
    by: str = "loss",
    failing_share: float = STABLE_FAILURES,
) -> pd.DataFrame:
    """How wide a range of rates each variant stands.

    The widest range, from a tried value to a tried value, in which at most `failing_share` of
    the judged members fail, and likewise of those at either end. What the other hyperparameters
    were is not looked at, and how densely the range was tried neither: `members` says by how many.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.verdict.judge`.
        x: a hyperparameter that is a positive number; members that do not have it are left out.
        by: another one, whose values are the variants.
        failing_share: in [0, 1).

    Returns:
        One row per variant, the widest first: `variant`, `low`, `high`, `decades` (log10 of their
        ratio), `members` (judged, in the range). NaN and 0 members where no value is stable; of
        equally wide ranges the one of smaller values.
    """
    if not 0 <= failing_share < 1:
        raise ValueError(f"failing_share = {failing_share}: must be in [0, 1)")
    members = _members(sweep, verdicts, x, by)
    if (members["x"] <= 0).any():
        least = members["x"].min()
        raise ValueError(
            f"x = {x!r}: must be positive for a range in decades, the least is {least}"
        )
    rows = []
    for name, rest in members.groupby("variant", observed=True):
        judged = rest[is_judged(rest["verdict"])]
        rows.append((name, *_widest(judged, Fraction(failing_share).limit_denominator(10_000))))
    table = pd.DataFrame(rows, columns=["variant", "low", "high", "decades", "members"])
    dtypes = {"variant": "str", "members": "int64"}
    table = table.astype(dtypes | dict.fromkeys(("low", "high", "decades"), "float64"))
    return table.sort_values("decades", ascending=False, kind="stable", ignore_index=True)


def _members(sweep: Sweep, verdicts: pd.DataFrame, x: str, by: str) -> pd.DataFrame:
    """The members that have x: `x`, `variant`, `verdict`."""
    trials = sweep.trials
    if x not in trials or not pd.api.types.is_numeric_dtype(trials[x]):
        raise ValueError(f"x = {x!r}: must be a hyperparameter that is a number, such as 'lr_g'")
    values = trials[x].astype("float64")
    columns = {
        "x": values,
        "variant": variants(trials, by),
        "verdict": verdict_of(trials, verdicts),
    }
    return pd.DataFrame(columns)[np.isfinite(values)]


def _edges(values: np.ndarray, domain: object, bins: int) -> np.ndarray:
    """Ends of the bins, ascending: [bins + 1], or two that are equal, or none."""
    searched = domain if isinstance(domain, dict) else {}
    known = [*values, *(float(searched[end]) for end in ("low", "high") if end in searched)]
    if not len(values):
        return np.empty(0)
    low, high = min(known), max(known)
    if low == high:
        return np.array([low, high])
    is_log = low > 0 and bool(searched.get("log", "low" not in searched and high >= _DECADE * low))
    edges = np.geomspace(low, high, bins + 1) if is_log else np.linspace(low, high, bins + 1)
    edges[[0, -1]] = low, high
    return edges


def _widest(judged: pd.DataFrame, share: Fraction) -> tuple[float, float, float, int]:
    """Low, high, decades and members of the widest range in which at most the share fails.

    With G(i) = failures - share * members among the first i values, values s to e - 1 are stable
    where G(e) <= G(s). For each end the first start that high is found in the running maximum
    of G over the starts.
    """
    rows = pd.DataFrame({"x": judged["x"], "failures": is_failure(judged["verdict"])})
    counts = rows.groupby("x")["failures"].agg(["sum", "size"]).astype("int64")
    x, sizes = counts.index.to_numpy(), counts["size"].to_numpy()
    # In whole numbers: 20% of 15 is 3.
    excess = counts["sum"].to_numpy() * share.denominator - sizes * share.numerator
    sums, total = np.append(0, np.cumsum(excess)), np.append(0, np.cumsum(sizes))
    places = np.flatnonzero(excess <= 0)
    if not len(places):
        return np.nan, np.nan, np.nan, 0
    highest = np.maximum.accumulate(sums[places])
    starts = places[np.searchsorted(highest, sums[places + 1])]
    decades = np.log10(x[places] / x[starts])
    best = int(decades.argmax())
    start, end = starts[best], places[best]
    return x[start], x[end], decades[best], int(total[end + 1] - total[start])
