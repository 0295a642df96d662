"""Everything that the rules of `analysis.rules` look at, as numbers per member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.collapse import class_share_of_real, diversity, histograms, modes_reached
from analysis.schema import GRADIENT_SIGNALS, METRICS
from analysis.stability import (
    d_loss_anchors,
    decline,
    discriminator,
    gradients,
    mode_changes,
    oscillation,
    saturation,
)
from analysis.thresholds import Thresholds
from analysis.window import MEMBER, final_window, finite, last_evaluations, span

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["Evidence", "gather"]

_HISTORY = [
    *MEMBER,
    "attempt",
    "rung",
    "step",
    "interval_steps",
    "nonfinite_steps",
    "d_loss_mean",
    "real_accuracy_mean",
    "fake_accuracy_mean",
    *(f"{signal}_{end}" for signal in GRADIENT_SIGNALS for end in ("mean", "max")),
    *(f"{signal}_above_100_share" for signal in GRADIENT_SIGNALS),
    "frechet_distance",
    "mode_entropy",
    "feature_spread",
    "mode_histogram",
    "eval_images",
]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of the members that have ended, in two frames."""

    members: pd.DataFrame
    """Indexed by (trial, seed), sorted; a column for every metric and control of a rule."""
    rungs: pd.DataFrame
    """Their history, with the metrics at single rungs and `member`, the row in `members`."""


def gather(sweep: Sweep, thresholds: Thresholds) -> Evidence:
    """Numbers for the rules; NaN where something was not measured (see `analysis.window`).

    Members still in training have no row, and a row whose trial was begun again meanwhile has no
    history: that of another attempt says nothing of it.
    """
    t = thresholds
    trials = sweep.trials.sort_values(MEMBER, ignore_index=True)
    real, untrained = (_control(sweep.control, kind) for kind in ("real", "untrained"))
    shares = _real_shares(sweep.control)
    rungs = _rungs(trials, sweep.history, shares, t)
    # What the classifier makes of a generator's noise is no mode.
    noise = rungs["frechet_distance"] > t.untrained_share * untrained["frechet_distance"]
    rungs.loc[noise, ["mode_entropy", "feature_spread", "class_share_of_real"]] = np.nan
    window = final_window(
        rungs,
        share=t.window_share,
        least_steps=t.window_steps,
        least_evaluations=t.window_evaluations,
    )
    changes = (window & window.groupby(rungs["member"]).shift(fill_value=False)) | (
        last_evaluations(rungs, t.oscillation_evaluations - 1)
    )
    recent = last_evaluations(rungs, t.window_evaluations)
    parts = [
        span(rungs, window, "window"),
        span(rungs, recent, "recent"),
        span(rungs, changes, "changes"),
        saturation(rungs, window, early_share=t.window_share),
        gradients(rungs, window),
        decline(
            rungs,
            window,
            real_frechet=real["frechet_distance"],
            evaluations=t.window_evaluations,
        ),
        oscillation(rungs, changes, evaluations=t.oscillation_evaluations),
        modes_reached(rungs, window),
        diversity(rungs, window, real=shares, expected_images=t.class_images),
    ]
    members = _recorded(trials, rungs, sweep).join(pd.concat(parts, axis=1))
    controls = {f"real_{name}": value for name, value in real.items()}
    controls |= {f"untrained_{name}": value for name, value in untrained.items()}
    return Evidence(members.assign(**controls), rungs)


def _rungs(
    trials: pd.DataFrame, history: pd.DataFrame, real_shares: np.ndarray, t: Thresholds
) -> pd.DataFrame:
    anchors = d_loss_anchors(trials)
    known = trials[[*MEMBER, "attempt"]].assign(member=np.arange(len(trials)))
    rungs = history[_HISTORY].merge(known.join(anchors), on=[*MEMBER, "attempt"])
    rungs = rungs.sort_values([*MEMBER, "rung"], ignore_index=True)
    shares = histograms(rungs)
    least = np.full(len(rungs), np.nan)
    if len(real_shares) and shares.shape[1] == len(real_shares):
        images = rungs["eval_images"].to_numpy(dtype="float64", na_value=np.nan)
        least = class_share_of_real(shares, images, real_shares, expected_images=t.class_images)
    columns = [rungs, discriminator(rungs), mode_changes(rungs)]
    return pd.concat(columns, axis=1).assign(class_share_of_real=least)


def _recorded(trials: pd.DataFrame, rungs: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """Status and length of each member's training, on the index of all members."""
    members = trials.set_index(MEMBER)
    trained = rungs[rungs["rung"] > 0].groupby(MEMBER)
    bad = rungs[rungs["nonfinite_steps"].fillna(0).astype("int64") > 0]
    steps = members["steps"].astype("float64")
    recorded = trained["step"].max().reindex(members.index).fillna(0).astype("float64")
    # A member that is not finite has diverged, whatever its status says.
    diverged = members["diverged_step"].astype("float64")
    diverged = diverged.fillna(steps.fillna(recorded).where(members["status"] == "diverged"))
    diverged = diverged.fillna(bad.groupby(MEMBER)["step"].min().astype("float64"))
    anchors = d_loss_anchors(members)
    full = float(sweep.config.get("train", {}).get("steps", steps.max()))
    return pd.DataFrame(
        {
            "status": members["status"],
            "steps": steps,
            "full_steps": full,
            "pruned_steps": steps.where(members["status"] == "pruned"),
            "failed": (members["status"] == "failed").astype("float64"),
            "diverged_step": diverged,
            "evaluations": trained.size().reindex(members.index).fillna(0).astype("float64"),
            "recorded_steps": recorded,
            "run_start": 0.0,
            "run_end": pd.concat([steps, recorded, diverged], axis=1).max(axis=1),
            "d_loss_equilibrium_excess": anchors["d_loss_equilibrium"] - anchors["d_loss_floor"],
        }
    )


def _control(control: pd.DataFrame, kind: str) -> dict[str, float]:
    rows = finite(control.loc[control["kind"] == kind, list(METRICS)])
    return {name: float(rows[name].iloc[-1]) if len(rows) else np.nan for name in METRICS}


def _real_shares(control: pd.DataFrame) -> np.ndarray:
    """Shares of the classes among real images: [classes], empty where they are not known."""
    rows = control[control["kind"] == "real"]
    shares = histograms(rows)
    return shares[-1] if len(shares) else np.empty(0)
