"""Why a member got its verdict, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.plots.quantities import quantity
from analysis.plots.scales import short_number

__all__ = ["reason"]

_SENTENCES = {
    "not_finite": "A loss, gradient or sample stopped being finite",
    "samples_not_finite": "Its samples stopped being finite",
    "failed": "Its worker broke down too often",
    "few_evaluations": "It was evaluated too seldom to be judged: {value} of {threshold} times",
    "few_steps": "It has {value} recorded steps, and judging takes {threshold}",
    "history_ends_early": "Its record ends at step {value} of {control}",
    "grad_norm_d_exploded": "Gradients of D rose to {value}{over} (their median is {control})",
    "grad_norm_g_exploded": "Gradients of G rose to {value}{over} (their median is {control})",
    "samples_exploded": "Fréchet distance {value}{over}; an untrained generator's is {control}",
    "late_collapse": "Fréchet distance {value} at best{over}; it had been down to {control}",
    "d_loss_gone": "The loss of D is {value} above its floor{over}: D has won (limit {threshold})",
    "d_always_right": "D is right {percent} of the time{over}, and G's gradients have died away",
    "g_rejected": "The loss of G is {value}{over}: D rejects what it makes (limit {threshold})",
    "untrained": "Fréchet distance {value}{over}, near an untrained generator's {control}",
    "improving": "It was still improving: Fréchet distance {value}{over}, {control} at best before",
    "oscillating": "From one evaluation to the next {percent} of its samples change modes{over}",
    "few_modes": "{value} effective modes{over}; real data have {control} (limit {threshold})",
    "fewer_modes": "{value} effective modes{over}; real data have {control} (limit {threshold})",
    "narrow": "Its samples vary {value} as much as real data{over} (limit {threshold})",
    "narrower": "Its samples vary {value} as much as real data{over} (limit {threshold})",
    "narrow_within": "Inside classes they vary {value} as much as real data{over} "
    "(limit {threshold})",
    "narrower_within": "Inside classes they vary {value} as much as real data{over} "
    "(limit {threshold})",
    "missing_class": "A class has {value} of its share in real data{over} (limit {threshold})",
    "poor_points": "{percent} of its points lie near a mode{over}; real data's {control}",
    "covers_little": "Its samples cover {value} of real data (limit {threshold})",
    "crowded": "Its samples crowd where real data are dense: density {value} (limit {threshold})",
    "decline_unconfirmed": "Fréchet distance {value} at the end, {control} at best: whether it "
    "stays so cannot be told",
    "unfinished": "Fréchet distance {value}{over}; a sound one is below {threshold}",
    "pruned": "It showed no fault until it was ended early",
}


def reason(row: Mapping[Any, Any]) -> str:
    """Why a member got its verdict, in one or two sentences with the numbers.

    Args:
        row: of `analysis.verdict.judge`.
    """
    first = _evidence(row)
    return f"{first}. {_course(row)}".strip()


def _evidence(row: Mapping[Any, Any]) -> str:
    known = {name: _number(row[name]) for name in ("value", "threshold", "control")}
    over = f" over {row['window'].replace('-', ' to ')}" if row["window"] else ""
    if known["value"] is None:
        name = quantity(row["metric"]).name if row["metric"] else "What it takes"
        return f"{name} is not known, and without it nothing can be said"
    if row["rule"] in _SENTENCES and not _recovered(row):
        shown = {name: text or "unknown" for name, text in known.items()}
        return _SENTENCES[row["rule"]].format(**shown, over=over, percent=f"{row['value']:.0%}")
    limit = f" (limit {known['threshold']})" if known["threshold"] else ""
    return f"{quantity(row['metric']).name} {known['value']}{over}{limit}"


def _course(row: Mapping[Any, Any]) -> str:
    """When the fault began, and whether it passed."""
    onset = row["onset_step"]
    if pd.isna(onset):
        return ""
    when = "from the start" if onset == 0 else f"from step {onset:,.0f} on"
    return f"It had a fault {when}, and recovered." if _recovered(row) else f"So it was {when}."


def _recovered(row: Mapping[Any, Any]) -> bool:
    return str(row["recovered"]) == "True"  # numpy's, pandas' and Python's alike


def _number(value: Any) -> str | None:
    return None if pd.isna(value) else short_number(float(value))
