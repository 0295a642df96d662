"""How members went, rung by rung: by verdict, and mode by mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.collapse import histograms
from analysis.rules import Verdict
from analysis.window import MEMBER

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["CURVES", "bands", "class_coverage", "mode_coverage", "with_verdicts"]

CURVES = (
    "frechet_distance",
    "mode_entropy",
    "feature_spread",
    "within_class_spread",
    "hq_share",
    "class_agreement",
    "d_loss_mean",
    "g_loss_mean",
    "real_accuracy_mean",
    "fake_accuracy_mean",
    "grad_norm_d_mean",
    "grad_norm_g_mean",
)
"""Columns of the history that are shown over the steps."""


_BANDS = ("metric", "variant", "verdict", "step", "members", "median", "low", "high")


def with_verdicts(sweep: Sweep, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The history with `verdict`, undetermined for members still in training, and `loss`.

    Rows of members in training have a null loss, since their row of trials is not written yet.
    """
    words = verdicts[[*MEMBER, "verdict"]].merge(
        sweep.trials[[*MEMBER, "loss"]], on=MEMBER, how="left"
    )
    rows = sweep.history.merge(words, on=MEMBER, how="left")
    return rows.assign(verdict=rows["verdict"].fillna(Verdict.UNDETERMINED.value))


def bands(
    sweep: Sweep,
    verdicts: pd.DataFrame,
    *,
    columns: Sequence[str] = CURVES,
    by: str | None = None,
) -> pd.DataFrame:
    """Median and quartiles of what was measured, over the members of each verdict.

    At each step the members that came so far count, those ended before it do not; a value that
    is not finite counts as not measured.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.verdict.judge`.
        columns: of the history; what was never measured is left out.
        by: None, or "loss" to keep the losses apart, which differ in scale.

    Returns:
        One row per metric, variant, verdict and step: `metric`, `variant` ("all" without `by`),
        `verdict`, `step`, `members`, `median`, `low`, `high` (quartiles).
    """
    rows = with_verdicts(sweep, verdicts)
    rows["variant"] = "all" if by is None else rows[by]
    known = [name for name in columns if name in rows]
    long = rows.melt(["variant", "verdict", "step"], known, "metric", "value")
    long = long[np.isfinite(long["value"].astype("float64")) & long["variant"].notna()]
    groups = long.groupby(["metric", "variant", "verdict", "step"], sort=True)["value"]
    quartiles = {"low": 0.25, "median": 0.5, "high": 0.75}
    table = pd.DataFrame({name: groups.quantile(share) for name, share in quartiles.items()})
    result = table.assign(members=groups.size()).reset_index()
    order = {name: i for i, name in enumerate(known)}
    result = result.sort_values("metric", key=lambda names: names.map(order), kind="stable")
    dtypes = {"members": "int64"} | dict.fromkeys(("median", "low", "high"), "float64")
    return result.astype(dtypes)[list(_BANDS)].reset_index(drop=True)


def mode_coverage(sweep: Sweep, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The effective number of modes of every member over the steps, against real data's.

    Returns:
        One row per member and rung, rung 0 left out: `trial`, `seed`, `verdict`, `step`, `modes`
        (`mode_entropy`), `of_real`: the same over real data's, or over the greatest that any
        member had where there is no control. Rows without a number are left out.
    """
    rows = with_verdicts(sweep, verdicts)
    rows = rows[(rows["rung"] > 0) & np.isfinite(rows["mode_entropy"])]
    real = sweep.control.loc[sweep.control["kind"] == "real", "mode_entropy"]
    whole = (
        real.iloc[-1] if len(real) and np.isfinite(real.iloc[-1]) else rows["mode_entropy"].max()
    )
    modes = rows["mode_entropy"].astype("float64")
    return rows[[*MEMBER, "verdict", "step"]].assign(
        modes=modes, of_real=modes / whole if whole else np.nan
    )


def class_coverage(sweep: Sweep, trial: int, seed: int) -> pd.DataFrame:
    """What share of one member's samples falls into each class or mode, over the steps.

    Returns:
        One row per rung and mode: `step`, `mode` (its name, or its number), `share`, `of_real`:
        the share over its share among real data, NaN where that is not known.
    """
    history = sweep.history
    rows = history[(history["trial"] == trial) & (history["seed"] == seed)]
    shares = histograms(rows)
    real, names = _reference(sweep.control, shares.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        of_real = shares / real
    return pd.DataFrame(
        {
            "step": np.repeat(rows["step"].to_numpy(), shares.shape[1]),
            "mode": np.tile(np.array(names, dtype=object), len(rows)),
            "share": shares.ravel(),
            "of_real": np.where(np.isfinite(of_real), of_real, np.nan).ravel(),
        }
    ).dropna(subset="share", ignore_index=True)


def _reference(control: pd.DataFrame, modes: int) -> tuple[np.ndarray, list[str]]:
    """Shares of the modes among real data, NaN where not known, and their names."""
    rows = control[control["kind"] == "real"]
    shares = histograms(rows)
    names = rows["classes"].iloc[-1] if len(rows) else None
    whole = [str(i) for i in range(modes)]
    return (
        shares[-1] if len(shares) and shares.shape[1] == modes else np.full(modes, np.nan),
        whole if names is None or len(names) != modes else [str(name) for name in names],
    )
