"""Everything that the rules of `analysis.rules` look at, as numbers per member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.collapse import class_share_of_real, diversity, histograms, modes_reached
from analysis.schema import END_METRICS, GRADIENT_SIGNALS, METRICS
from analysis.stability import (
    decline,
    discriminator,
    gradients,
    loss_anchors,
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
    "g_loss_mean",
    "real_accuracy_mean",
    "fake_accuracy_mean",
    *(f"{signal}_{end}" for signal in GRADIENT_SIGNALS for end in ("mean", "max")),
    *(f"{signal}_above_100_share" for signal in GRADIENT_SIGNALS),
    "frechet_distance",
    "mode_entropy",
    "feature_spread",
    "within_class_spread",
    "hq_share",
    "mode_histogram",
    "eval_images",
]
_OF_MODES = ["mode_entropy", "within_class_spread", "class_share_of_real"]


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
    like_real = _like_real(trials, real, untrained, t)
    floor = _frechet_floor(sweep.control, real, untrained, t)
    rungs = _rungs(trials, sweep.history, shares, t)
    # What the classifier makes of a generator's noise is no mode.
    noise = _noise(rungs, t.untrained_share * untrained["frechet_distance"], like_real)
    rungs.loc[noise, [*_OF_MODES, "feature_spread"]] = np.nan
    rungs.loc[_few_good_points(rungs, len(shares), t), _OF_MODES] = np.nan
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
            floor=floor,
            evaluations=t.window_evaluations,
        ),
        oscillation(rungs, changes, evaluations=t.oscillation_evaluations),
        modes_reached(rungs, window),
        diversity(rungs, window, real=shares, expected_images=t.class_images),
    ]
    members = _recorded(trials, rungs, sweep).join(pd.concat(parts, axis=1))
    controls = {f"real_{name}": value for name, value in real.items()}
    controls |= {f"untrained_{name}": value for name, value in untrained.items()}
    controls |= {"frechet_floor": floor}
    controls |= {"within_told": float(np.isfinite(real["within_class_spread"]))}
    members = members.assign(**controls).join(_at_end(trials))
    members = members.assign(like_real=like_real.astype("float64"))
    # False where D's loss has no scale: nothing is known against that D.
    ahead = members["d_loss_excess"] < t.d_loss_low * members["d_loss_equilibrium_excess"]
    gain = members["frechet_before"] - members["frechet_distance"]
    stuck = _modes_stuck(members, t)
    members = members.assign(
        d_ahead=ahead.astype("float64"), frechet_gain=gain, modes_stuck=stuck.astype("float64")
    )
    rungs["frechet_declined"] = _declined(rungs, floor, t)
    return Evidence(members, rungs)


def _rungs(
    trials: pd.DataFrame, history: pd.DataFrame, real_shares: np.ndarray, t: Thresholds
) -> pd.DataFrame:
    anchors = loss_anchors(trials)
    known = trials[[*MEMBER, "attempt"]].assign(member=np.arange(len(trials)))
    # A history that an older gansweep wrote lacks some.
    rungs = history.reindex(columns=_HISTORY).merge(known.join(anchors), on=[*MEMBER, "attempt"])
    rungs = rungs.sort_values([*MEMBER, "rung"], ignore_index=True)
    shares = histograms(rungs)
    least = np.full(len(rungs), np.nan)
    if len(real_shares) and shares.shape[1] == len(real_shares):
        images = rungs["eval_images"].to_numpy(dtype="float64", na_value=np.nan)
        least = class_share_of_real(shares, images, real_shares, expected_images=t.class_images)
    columns = [rungs, discriminator(rungs), mode_changes(rungs)]
    broken = (rungs["rung"] > 0) & ~np.isfinite(rungs["frechet_distance"])
    return pd.concat(columns, axis=1).assign(
        class_share_of_real=least,
        nonfinite_evaluation=(broken & rungs["eval_images"].notna()).astype("float64"),
    )


def _noise(rungs: pd.DataFrame, frechet: float, like_real: np.ndarray) -> pd.Series:
    """Rungs before the first step, and those up to which a member was never better: bool.

    A generator may collapse to one image that scores no better than an untrained one. If it was
    better before that is no noise, nor if it never was, but its last samples are like real ones.
    """
    scores = rungs["frechet_distance"].groupby(rungs["member"])
    best = scores.cummin().groupby(rungs["member"]).ffill()
    one_image = (scores.transform("min") > frechet) & like_real[rungs["member"]]
    return (rungs["rung"] == 0) | ((best > frechet) & ~one_image)


def _modes_stuck(members: pd.DataFrame, t: Thresholds) -> pd.Series:
    """Whether modes are few and become no more, or others take their place: bool."""
    few = members["mode_entropy"] < t.modes_severe * members["real_mode_entropy"]
    gained = members["mode_entropy"] > members["modes_reached"]
    return few & (~gained | (members["mode_change_mean"] > t.mode_change))


def _declined(rungs: pd.DataFrame, floor: float, t: Thresholds) -> pd.Series:
    """The Frechet distance, NaN where it is as bad as after a decline, but was never good yet."""
    scores = finite(rungs[["frechet_distance"]])["frechet_distance"].where(rungs["rung"] > 0)
    by_member = scores.groupby(rungs["member"])
    best, best_yet = (
        t.late_collapse_ratio * np.fmax(least, floor)
        for least in (by_member.transform("min"), by_member.cummin())
    )
    return scores.mask((scores >= best) & (scores < best_yet))


def _few_good_points(rungs: pd.DataFrame, modes: int, t: Thresholds) -> pd.Series:
    """Rungs at which a mixture's modes have too few points to count them: bool."""
    good = rungs["hq_share"] * rungs["eval_images"].astype("float64")
    return good < t.mode_points * modes


def _frechet_floor(
    control: pd.DataFrame, real: dict[str, float], untrained: dict[str, float], t: Thresholds
) -> float:
    """The Frechet distance below which differences are luck; NaN if nothing is known of it."""
    rows = control[control["kind"] == "untrained"].reindex(columns=["eval_images"])
    images = float(rows["eval_images"].iloc[-1]) if rows["eval_images"].notna().any() else np.nan
    chance = t.frechet_chance * untrained["frechet_distance"] / images
    return float(np.fmax(real["frechet_distance"], chance))


def _like_real(
    trials: pd.DataFrame, real: dict[str, float], untrained: dict[str, float], t: Thresholds
) -> np.ndarray:
    """Whether members' samples at their end are like real ones: bool, false if it cannot be told.

    A mixture says so itself. A real image that is far from all others may have everything within
    its reach, an untrained generator's images too; then these must be within that of more.
    """
    columns = ["final_hq_share", "final_precision_k5", "final_density_k5"]
    good, precision, density = (trials.reindex(columns=columns)[name] for name in columns)
    near = precision >= t.like_real * real["precision_k5"]
    nearer = near & (untrained["density_k5"] < t.like_real * density)
    is_mixture = np.isfinite(real["hq_share"])
    return (good >= t.quality * real["hq_share"] if is_mixture else nearer).to_numpy()


def _at_end(trials: pd.DataFrame) -> pd.DataFrame:
    """What was asked of each member when it ended, and its last step."""
    names = [f"final_{name}" for name in END_METRICS]
    members = trials.set_index(MEMBER)
    steps = members["steps"].astype("float64")
    return members.reindex(columns=names).astype("float64").assign(end_start=steps, end_end=steps)


def _recorded(trials: pd.DataFrame, rungs: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """Status and length of each member's training, on the index of all members."""
    members = trials.set_index(MEMBER)
    trained = rungs[rungs["rung"] > 0].groupby(MEMBER)
    bad = rungs[rungs["nonfinite_steps"].fillna(0).astype("int64") > 0]
    broken = trained["nonfinite_evaluation"].sum()
    steps = members["steps"].astype("float64")
    recorded = trained["step"].max().reindex(members.index).fillna(0).astype("float64")
    # A member that is not finite has diverged, whatever its status says.
    diverged = members["diverged_step"].astype("float64")
    diverged = diverged.fillna(steps.fillna(recorded).where(members["status"] == "diverged"))
    diverged = diverged.fillna(bad.groupby(MEMBER)["step"].min().astype("float64"))
    anchors = loss_anchors(members)
    full = float(sweep.config.get("train", {}).get("steps", steps.max()))
    return pd.DataFrame(
        {
            "status": members["status"],
            "steps": steps,
            "full_steps": full,
            "pruned_steps": steps.where(members["status"] == "pruned"),
            "failed": (members["status"] == "failed").astype("float64"),
            "diverged_step": diverged,
            "nonfinite_evaluations": broken.reindex(members.index).fillna(0),
            "evaluations": trained.size().reindex(members.index).fillna(0).astype("float64"),
            "recorded_steps": recorded,
            "run_start": 0.0,
            "run_end": pd.concat([steps, recorded, diverged], axis=1).max(axis=1),
            "d_loss_equilibrium_excess": anchors["d_loss_equilibrium"] - anchors["d_loss_floor"],
            "g_loss_equilibrium": anchors["g_loss_equilibrium"],
        }
    )


def _control(control: pd.DataFrame, kind: str) -> dict[str, float]:
    names = [*METRICS, *END_METRICS]
    rows = finite(control[control["kind"] == kind].reindex(columns=names).astype("float64"))
    return {name: float(rows[name].iloc[-1]) if len(rows) else np.nan for name in names}


def _real_shares(control: pd.DataFrame) -> np.ndarray:
    """Shares of the classes among real images: [classes], empty where they are not known."""
    rows = control[control["kind"] == "real"]
    shares = histograms(rows)
    return shares[-1] if len(shares) else np.empty(0)
