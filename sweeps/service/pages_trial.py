"""What the page of a trial says and draws. Runs where sweeps are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.plots.curves import plot_curves
from analysis.plots.modes import plot_class_coverage
from analysis.plots.quantities import quantity
from analysis.plots.theme import is_empty
from analysis.trajectories import CURVES, class_coverage
from sweeps.service.pages_charts import charts_json
from sweeps.service.pages_rows import Board, shown
from sweeps.service.pages_templates import render
from sweeps.service.reading import Content, Reading
from sweeps.service.refusals import Refusal

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

__all__ = ["charts", "page"]


def page(params: Mapping[str, str], reading: Reading) -> Content:
    """What is known of `trial`.

    Raises:
        Refusal: nothing is.
    """
    trial = _known(params, reading)
    board = Board(reading.tables)
    row = next((row for row in board.rows if row["trial"] == trial), None)
    history = _history(reading, trial)
    seeds = sorted({*history["seed"], *(m["seed"] for m in board.members.get(trial, []))})
    text = render(
        "trial_body",
        name=reading.name,
        trial=trial,
        row=row,
        ranked=sum(each["rank"] is not None for each in board.rows),
        settings=row["settings"] if row else [],
        fixed=row["fixed"] if row else [],
        objective=quantity(reading.tables.objective).name,
        seeds=[_seed(board, reading, trial, seed) for seed in seeds],
        finals=board.record["finals"],
        curves=[(key, title) for key, title, _ in _curves(reading, trial)],
        modes=[(key, seed) for key, seed, _ in _modes(reading, trial, seeds)],
        step=int(history["step"].max()) if len(history) else 0,
    )
    return Content(text, "text/html; charset=utf-8")


def charts(params: Mapping[str, str], reading: Reading) -> Content:
    """The charts of `trial`.

    Raises:
        Refusal: nothing is known of it.
    """
    trial = _known(params, reading)
    seeds = sorted(set(_history(reading, trial)["seed"]))
    drawn = [(key, chart) for key, _, chart in _curves(reading, trial)]
    drawn += [(key, chart) for key, _, chart in _modes(reading, trial, seeds)]
    return charts_json(drawn, f"{reading.name}-trial-{trial}")


def _known(params: Mapping[str, str], reading: Reading) -> int:
    trial, sweep = int(params["trial"]), reading.sweep
    if trial not in set(sweep.trials["trial"]) | set(sweep.history["trial"]):
        raise Refusal(404, f"TRIAL = {trial}: nothing is known of it, yet or at all")
    return trial


def _history(reading: Reading, trial: int) -> pd.DataFrame:
    history = reading.sweep.history
    return history[history["trial"] == trial]


def _seed(board: Board, reading: Reading, trial: int, seed: int) -> dict[str, Any]:
    member = next((m for m in board.members.get(trial, []) if m["seed"] == seed), None)
    grids = reading.sweep.samples
    mine = grids[(grids["trial"] == trial) & (grids["seed"] == seed)].sort_values("step")
    ends = [
        (final["name"], shown(member[final["key"]]), final["real"])
        for final in board.record["finals"]
        if member and member.get(final["key"]) is not None
    ]
    return {"seed": int(seed), "member": member, "ends": ends, "steps": [*map(int, mine["step"])]}


def _curves(reading: Reading, trial: int) -> Iterator[tuple[str, str, alt.TopLevelMixin]]:
    """(place, title, chart) of each quantity that was measured."""
    rows = _history(reading, trial)
    verdicts = reading.tables.verdicts
    judged = verdicts[verdicts["trial"] == trial]
    for column in CURVES:
        if column in rows and np.isfinite(rows[column].astype("float64")).any():
            yield f"curve_{column}", quantity(column).name, plot_curves(rows, column, judged)


def _modes(
    reading: Reading, trial: int, seeds: list[int]
) -> Iterator[tuple[str, int, alt.TopLevelMixin]]:
    """(place, seed, chart) of each seed whose modes were counted."""
    for seed in seeds:
        chart = plot_class_coverage(class_coverage(reading.sweep, trial, seed))
        if not is_empty(chart):
            yield f"modes_{seed}", seed, chart
