"""What the page holds ready for every trial: history, samples, verdicts and their reasons."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.collapse import histograms
from analysis.plots.quantities import quantity
from analysis.plots.scales import short_number
from analysis.report.compact import columns
from analysis.report.exemplars import Exemplar
from analysis.report.reasons import reason
from analysis.report.tables import Tables, varied
from analysis.report.wording import count
from analysis.schema import END_METRICS, HYPERPARAMETERS, METRICS
from analysis.trajectories import CURVES
from analysis.window import MEMBER

__all__ = [
    "HISTORY_ROWS",
    "SAMPLE_BYTES",
    "Samples",
    "history_record",
    "left_out",
    "samples_record",
    "trials_record",
]

HISTORY_ROWS = 60_000
"""Of a longer history every second rung is left out, or of three two, and so on."""

SAMPLE_BYTES = 24_000_000
"""The most that all sample grids take in the page."""

_HISTOGRAM_CELLS = 3_000_000
_SHOWN = (*CURVES, "penalty_mean", "mode_kl", "spectral_norm_g", "spectral_norm_d")


@dataclass(frozen=True)
class Samples:
    """Sample grids as data URIs."""

    by_trial: dict[int, dict[int, str]]
    """The URI by trial and seed."""
    left_out: int
    """Trials whose samples there was no room for."""


def trials_record(tables: Tables) -> dict[str, Any]:
    """One entry per trial that has ended, by column; the best first, the others by number."""
    ranks = tables.best.set_index("trial")["rank"]
    members = tables.sweep.trials
    told = members.groupby("trial")
    rows = tables.trials.drop(columns="seed_unstable").assign(
        rank=tables.trials["trial"].map(ranks),
        objective=tables.trials["trial"].map(told["trial_objective"].first()),
        status=tables.trials["trial"].map(told["status"].agg(_status)),
        error=tables.trials["trial"].map(told["error"].first()) if "error" in members else None,
    )
    rows = rows.sort_values(["rank", "trial"], na_position="last")
    names = varied(tables.trials)
    fixed = [n for n in HYPERPARAMETERS if n not in names and rows[n].notna().any()]
    return {
        "columns": columns(rows),
        "varied": names,
        "fixed": fixed,
        "members": _members(tables),
        "finals": [
            {
                "key": f"final_{name}",
                "name": quantity(name).name,
                "real": short_number(real) if np.isfinite(real) else None,
            }
            for name in _finals(tables)
            for real in [tables.control("real", name)]
        ],
        "objective": tables.objective,
        "greater": tables.greater,
    }


def _status(status: pd.Series) -> str:
    for name in ("failed", "pruned"):
        if (status == name).any():
            return name
    return "diverged" if (status == "diverged").all() else "complete"


def _members(tables: Tables) -> dict[str, list[Any]]:
    verdicts = tables.verdicts
    reasons = [reason(row) for row in verdicts.to_dict("records")]
    ended = tables.sweep.trials[[*MEMBER, *(f"final_{name}" for name in _finals(tables))]]
    rows = verdicts[[*MEMBER, "verdict", "onset_step"]].assign(reason=reasons)
    return columns(rows.merge(ended, on=MEMBER, how="left"))


def _finals(tables: Tables) -> list[str]:
    """The metrics that some member has at its end."""
    trials = tables.sweep.trials
    return [
        name
        for name in (*METRICS, *END_METRICS)
        if f"final_{name}" in trials and trials[f"final_{name}"].notna().any()
    ]


def history_record(tables: Tables) -> dict[str, Any]:
    """The history by column, and where in it each member's rungs are.

    Returns:
        `members`: [trial, seed, first row, rows] of each; `columns`; `histogram`: for each row
        the shares of the modes in thousandths, empty where they would take too much room;
        `modes`: their names; `real`: their shares among real data; `stride`: 1, or how far the
        rungs that were kept lie apart.
    """
    history = tables.sweep.history
    stride = max(1, -(-len(history) // HISTORY_ROWS))
    rows = history[history["rung"] % stride == 0].reset_index(drop=True)
    shown = [c for c in _SHOWN if c in rows and np.isfinite(rows[c].astype("float64")).any()]
    places = rows.groupby(MEMBER, sort=False).size().reset_index(name="rows")
    places.insert(2, "start", places["rows"].cumsum() - places["rows"])
    shares = histograms(rows)
    fits = 0 < shares.size <= _HISTOGRAM_CELLS and shares.shape[1] <= 100
    names, real = _modes(tables, shares.shape[1])
    return {
        "members": places.to_numpy(dtype="int64").tolist(),
        "columns": columns(rows[["step", *shown]]),
        "curves": shown,
        "histogram": _thousandths(shares) if fits else [],
        "modes": names,
        "real": real,
        "stride": stride,
    }


def _thousandths(shares: np.ndarray) -> list[list[int] | None]:
    known = np.isfinite(shares).all(axis=1)
    whole = np.rint(np.where(np.isfinite(shares), shares, 0) * 1000).astype(int).tolist()
    return [row if is_known else None for row, is_known in zip(whole, known, strict=True)]


def _modes(tables: Tables, modes: int) -> tuple[list[str], list[float] | None]:
    rows = tables.sweep.control[tables.sweep.control["kind"] == "real"]
    shares = histograms(rows)
    real = shares[-1].round(5).tolist() if len(shares) and shares.shape[1] == modes else None
    names = rows["classes"].iloc[-1] if len(rows) else None
    if names is None or len(names) != modes:
        return [str(i) for i in range(modes)], real
    return [str(name) for name in names], real


def samples_record(
    tables: Tables, shown: list[Exemplar], most_bytes: int = SAMPLE_BYTES
) -> Samples:
    """The last sample grid of each member, of as many trials as there is room for.

    Room is given to what stands for the sweep first, then to the best trials, then to the others
    by number.

    Args:
        tables: of the sweep.
        shown: members that are shown with their samples anyway.
        most_bytes: of all URIs together.
    """
    grids = tables.sweep.samples.drop_duplicates(MEMBER, keep="last")
    by_trial: dict[int, dict[int, bytes]] = {}
    for trial, seed, png in zip(grids["trial"], grids["seed"], grids["png"], strict=True):
        by_trial.setdefault(int(trial), {})[int(seed)] = bytes(png)
    order = [e.trial for e in shown] + tables.best["trial"].tolist() + sorted(by_trial)
    kept: dict[int, dict[int, str]] = {}
    room = most_bytes
    for trial in dict.fromkeys(int(t) for t in order):
        if trial not in by_trial:
            continue
        uris = {seed: _uri(png) for seed, png in by_trial[trial].items()}
        size = sum(len(uri) for uri in uris.values())
        if size <= room:
            room -= size
            kept[trial] = uris
    return Samples(kept, len(by_trial) - len(kept))


def left_out(samples: Samples, history: dict[str, Any]) -> list[str]:
    """What there was no room for in the page, a sentence each."""
    lines = []
    if samples.left_out:
        lines.append(
            f"Samples of {count(samples.left_out, 'trial')} had no room in this file; "
            "all are in the sweep's table samples."
        )
    if history["stride"] > 1:
        lines.append(f"Of the history every {history['stride']}th rung is in this file.")
    if history["modes"] and not history["histogram"]:
        lines.append("The shares of single modes had no room in this file.")
    return lines


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
