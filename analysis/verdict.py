"""One word and its evidence for every member that has ended."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.episodes import episodes
from analysis.evidence import Evidence, gather
from analysis.rule import Condition, Rule, Span, Verdict
from analysis.rules import rules
from analysis.schema import HISTORY
from analysis.sweep import check_selected
from analysis.thresholds import Thresholds

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["Verdict", "judge"]

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

_DTYPES = {
    "status": "str",
    "verdict": "str",
    "rule": "str",
    "metric": "str",
    "window": "str",
    "value": "float64",
    "threshold": "float64",
    "control": "float64",
    "onset_step": "Int64",
    "recovered": "boolean",
    "also": "str",
    "unjudged": "str",
}


def judge(sweep: Sweep, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """The verdict on each member that has ended, by the rules of `analysis.rules`.

    The first rule that holds gives the verdict; where none does a member is healthy, unless an
    essential rule could not be judged: then it is undetermined. A rule that a number is missing
    for (not recorded, not finite, does not apply to the loss, no control, written by a gansweep
    that did not measure it yet) is not judged; one that is not about the dataset does not hold.

    Args:
        sweep: from `analysis.load`.
        thresholds: other numbers than the usual ones.

    Returns:
        One row per member, by (trial, seed):
        trial, seed, status, verdict: the last one a value of `Verdict`.
        rule: name of the rule that holds, or that the member recovered from; "" where none.
        metric, window, value, threshold, control: its evidence, such as "mode_entropy",
            "steps 1600-2000", 3.1, 4.9, 9.9; of a healthy member its Frechet distance and the
            greatest one that passes. `control` is what `metric` was held against, NaN where
            the threshold stands alone.
        onset_step: where the fault began, 0 if it was there from the start; null where the
            rule is not one that is seen at single rungs.
        recovered: True for a healthy member that had collapsed, False where a fault with an
            onset is still there, else null.
        also: other rules that hold, in order of precedence, remarks among them, joined by ", ".
        unjudged: rules that could not be judged, joined by ", ".

    Raises:
        ValueError: the sweep was loaded with `columns=`, which leaves evidence out.
    """
    check_selected(sweep, "judge", HISTORY.names)
    thresholds = thresholds or Thresholds()
    found = gather(sweep, thresholds)
    book = rules(thresholds)
    holds = _hold(found.members, book)
    first = _first(holds, book)
    verdict = _verdicts(holds, first, book)
    onsets = _onsets(found, book, first, verdict, thresholds.window_evaluations)
    columns = [
        found.members[["status"]].assign(verdict=verdict),
        _numbers(found.members, book, _shown(holds, onsets["rule"], book)),
        onsets[["onset_step", "recovered"]],
        _joined(_others(holds, first, book)).rename("also"),
        _joined(_unjudged(holds, book)).rename("unjudged"),
    ]
    result = pd.concat(columns, axis=1)
    names = np.array([*(rule.name for rule in book), ""], dtype=object)
    result["rule"] = names[onsets["rule"]]  # -1 is the last, ""
    return result.astype(_DTYPES)[list(_DTYPES)].reset_index()


def _limit(members: pd.DataFrame, condition: Condition) -> pd.Series:
    """What the condition's metric is compared with, in the metric's own unit."""
    if condition.control is None:
        return pd.Series(float(condition.threshold), index=members.index)
    return condition.threshold * members[condition.control]


def _compare(values: pd.Series, limits: pd.Series, condition: Condition) -> pd.Series:
    """Nullable bool, null where either side is not finite."""
    holds = _COMPARISONS[condition.comparison](values, limits).astype("boolean")
    return holds.mask(~(np.isfinite(values) & np.isfinite(limits)))


def _holds(members: pd.DataFrame, rule: Rule) -> pd.Series:
    """Whether all conditions do: nullable; a false one settles it whatever is missing."""
    result = pd.Series(True, index=members.index, dtype="boolean")
    for condition in rule.conditions:
        result &= _compare(members[condition.metric], _limit(members, condition), condition)
    return result


def _hold(members: pd.DataFrame, book: tuple[Rule, ...]) -> pd.DataFrame:
    """Whether each rule holds: nullable bool, [members, rules]."""
    holds = pd.DataFrame({rule.name: _holds(members, rule) for rule in book})
    for rule in book:
        if rule.told_by:
            untold = members["real_frechet_distance"].notna() & members[rule.told_by].isna()
            holds[rule.name] = holds[rule.name].mask(untold, False)
        if rule.instead_of:
            holds[rule.name] &= holds[list(rule.instead_of)].fillna(False).any(axis=1)
    return holds


def _first(holds: pd.DataFrame, book: tuple[Rule, ...]) -> np.ndarray:
    """Index of the first rule with a verdict that holds, or -1: [members]."""
    judges = np.array([rule.verdict is not None for rule in book])
    true = holds.fillna(False).to_numpy(dtype=bool) & judges
    return np.where(true.any(axis=1), true.argmax(axis=1), -1)


def _verdicts(holds: pd.DataFrame, first: np.ndarray, book: tuple[Rule, ...]) -> np.ndarray:
    """[members], str."""
    names = np.array([rule.verdict and rule.verdict.value for rule in book], dtype=object)
    unjudged = holds[[rule.name for rule in book if rule.essential]].isna().any(axis=1)
    otherwise = np.where(unjudged, Verdict.UNDETERMINED.value, Verdict.HEALTHY.value)
    return np.where(first >= 0, names[first], otherwise)


def _onsets(
    found: Evidence,
    book: tuple[Rule, ...],
    first: np.ndarray,
    verdict: np.ndarray,
    evaluations: int,
) -> pd.DataFrame:
    """The rule that holds or that a healthy member recovered from, with onset and recovery.

    Returns:
        On the members: `rule`, its index or -1; `onset_step`; `recovered`.
    """
    members = found.members
    result = pd.DataFrame({"rule": first, "onset_step": np.nan}, index=members.index)
    result["recovered"] = pd.Series(pd.NA, index=members.index, dtype="boolean")
    healthy = pd.Series(verdict == Verdict.HEALTHY.value, index=members.index)
    for i, rule in enumerate(book):
        if rule.name == "not_finite":
            result.loc[first == i, "onset_step"] = members.loc[first == i, "diverged_step"]
        if rule.rung_metric is None:
            continue
        asked = (first == i) | (healthy & rule.episodic & (result["rule"] < 0))
        if not asked.any():
            continue
        seen = _episodes(found, rule, asked.to_numpy(), evaluations)
        seen = seen[seen["recovered"] | ~healthy[seen.index]]
        result.loc[seen.index, "rule"] = i
        result.loc[seen.index, "onset_step"] = seen["onset_step"]
        result.loc[seen.index, "recovered"] = healthy[seen.index]
    return result


def _episodes(found: Evidence, rule: Rule, asked: np.ndarray, evaluations: int) -> pd.DataFrame:
    """The last episode of the rule's first condition, in the members that are asked for."""
    rungs = found.rungs[asked[found.rungs["member"]]]
    condition = rule.conditions[0]
    limits = _limit(found.members, condition).to_numpy()[rungs["member"]]
    bad = _compare(rungs[rule.rung_metric], pd.Series(limits, index=rungs.index), condition)
    return episodes(rungs, bad, evaluations=evaluations)


def _shown(holds: pd.DataFrame, rule: pd.Series, book: tuple[Rule, ...]) -> np.ndarray:
    """Index of the rule whose numbers are the evidence: [members].

    Where no rule holds it is the essential one that could not be judged, or else the last.
    """
    essential = np.array([i for i, each in enumerate(book) if each.essential])
    missing = holds.iloc[:, essential].isna().to_numpy()
    last = np.where(missing.any(axis=1), essential[missing.argmax(axis=1)], essential[-1])
    return np.where(rule >= 0, rule, last)


def _numbers(members: pd.DataFrame, book: tuple[Rule, ...], shown: np.ndarray) -> pd.DataFrame:
    """Metric, window, value, threshold and control of the rule shown for each member."""
    result = pd.DataFrame({"metric": "", "window": ""}, index=members.index)
    result[["value", "threshold", "control"]] = np.nan
    for i in np.unique(shown):
        rows, condition = shown == i, book[i].conditions[0]
        result.loc[rows, "metric"] = condition.metric
        result.loc[rows, "window"] = _span_text(members[rows], book[i].span)
        result.loc[rows, "value"] = members.loc[rows, condition.metric]
        result.loc[rows, "threshold"] = _limit(members[rows], condition)
        if condition.control is not None:
            result.loc[rows, "control"] = members.loc[rows, condition.control]
    return result


def _span_text(members: pd.DataFrame, span: Span) -> pd.Series:
    """Such as "steps 1600-2000", or "step 2000"; "" where nothing was recorded."""
    ends = members[[f"{span}_start", f"{span}_end"]]
    start, end = (ends[name].astype("Int64").astype("string") for name in ends)
    return ("steps " + start + "-" + end).mask(start == end, "step " + end).fillna("")


def _others(holds: pd.DataFrame, first: np.ndarray, book: tuple[Rule, ...]) -> pd.DataFrame:
    """Which rules hold after the first; none where too little was recorded to trust them."""
    broken = [rule.span is Span.RUN and rule.verdict is not Verdict.UNDERTRAINED for rule in book]
    recorded = ~np.array([*broken, False])[first]  # -1 is the last, no rule
    accuses = np.array([rule.verdict is not Verdict.UNDETERMINED for rule in book])
    later = accuses & (np.arange(len(book)) > first[:, None])
    return holds.fillna(False).astype(bool) & later & recorded[:, None]


def _unjudged(holds: pd.DataFrame, book: tuple[Rule, ...]) -> pd.DataFrame:
    """Which rules lack a number; what concerns the whole run is always known."""
    judges = [rule.name for rule in book if rule.verdict and rule.span is not Span.RUN]
    return holds[judges].isna()


def _joined(flags: pd.DataFrame) -> pd.Series:
    """Names of the columns that are true, joined by ", "."""
    text = pd.Series("", index=flags.index)
    for name in flags:
        text = text.where(~flags[name], text + f", {name}")
    return text.str.removeprefix(", ")
