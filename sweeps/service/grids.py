"""The sample grids of a sweep. Runs in the process that reads."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from analysis.compare import leaderboard
from sweeps.service.reading import Content, Reading
from sweeps.service.refusals import Refusal

__all__ = ["best", "grid", "samples"]

_PNG = "image/png"


def samples(params: Mapping[str, str], reading: Reading) -> Content:
    """Which grids there are, by trial, seed and step; of one trial where `trial` is given."""
    rows = reading.sweep.samples
    if "trial" in params:
        rows = rows[rows["trial"] == int(params["trial"])]
    found = [
        {"trial": int(trial), "seed": int(seed), "step": int(step)}
        for trial, seed, step in zip(rows["trial"], rows["seed"], rows["step"], strict=True)
    ]
    return Content(json.dumps({"samples": found}))


def grid(params: Mapping[str, str], reading: Reading) -> Content:
    """A member's grid: of `trial`, `seed`, and of `step` or the last.

    Raises:
        Refusal: there is none.
    """
    rows = reading.sweep.samples
    chosen = (rows["trial"] == int(params["trial"])) & (rows["seed"] == int(params["seed"]))
    if "step" in params:
        chosen &= rows["step"] == int(params["step"])
    return _last(rows[chosen])


def best(params: Mapping[str, str], reading: Reading) -> Content:
    """The grid of the best trial's first seed.

    Raises:
        Refusal: no sound trial has ended yet.
    """
    rows, leaders = reading.sweep.samples, leaderboard(reading.sweep, 1)
    return _last(rows[rows["trial"].isin(leaders["trial"])].sort_values(["seed", "step"]).head(1))


def _last(rows: pd.DataFrame) -> Content:
    if rows.empty:
        raise Refusal(404, "there are no such samples, yet or at all")
    return Content(bytes(rows["png"].iloc[-1]), _PNG)
