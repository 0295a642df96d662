"""What a sweep's page says and draws. Runs where sweeps are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from analysis.plots.quantities import quantity
from analysis.plots.running import plot_running
from analysis.plots.theme import is_empty
from analysis.report.catalog import Figure, catalog
from analysis.report.facts import config_text, headline_facts, verdict_counts
from analysis.report.findings import findings
from analysis.report.page import render as render_report
from analysis.report.tables import Tables
from analysis.report.wording import count
from sweeps.service.pages_charts import charts_json
from sweeps.service.pages_rows import Board, ended_badly, in_training, latest_samples
from sweeps.service.pages_templates import render
from sweeps.service.reading import Content, Reading

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["charts", "page", "report"]

_ROWS = 25
_RUNNING = 12
"""Trials whose curves are drawn while they are in training: those that are furthest."""
_SAMPLES = 8
_LIVE = ("mode_entropy", "d_loss_mean", "g_loss_mean")
_SECTIONS = ("leaderboard", "budget", "importance", "regions")
_WITHOUT = ("parallel",)


def page(params: Mapping[str, str], reading: Reading) -> Content:
    """What is below the head of its page; all trials where `all` is given."""
    tables = reading.tables
    board, running = Board(tables), in_training(tables)
    bad = ended_badly(board, tables)
    most = len(board.rows) if "all" in params else _ROWS
    text = render(
        "sweep_body",
        name=reading.name,
        is_empty=tables.is_empty,
        facts=headline_facts(tables),
        verdicts=verdict_counts(tables),
        members=count(len(tables.verdicts), "member"),
        findings=[] if tables.is_empty else findings(tables)[:4],
        objective=quantity(tables.objective).name,
        greater=tables.greater,
        running=running["trial"].nunique() if len(running) else 0,
        curves=[(key, figure) for key, figure in _running(tables, running)],
        samples=latest_samples(reading.sweep.samples, board, running, _SAMPLES),
        rows=board.rows[:most],
        more=max(0, len(board.rows) - most),
        ended=len(board.rows),
        varied=board.varied,
        bad=bad[:most],
        more_bad=max(0, len(bad) - most),
        bad_count=len(bad),
        figures=_figures(tables),
        config=config_text(tables),
    )
    return Content(text, "text/html; charset=utf-8")


def charts(params: Mapping[str, str], reading: Reading) -> Content:
    """The charts of its page."""
    tables = reading.tables
    live = [(key, figure.chart) for key, figure in _running(tables, in_training(tables))]
    stand = [(figure.key, figure.chart) for figure in _figures(tables)]
    return charts_json([*live, *stand], reading.name)


def report(params: Mapping[str, str], reading: Reading) -> Content:
    """The page that `gansweep report` writes."""
    text = render_report(reading.tables, made_at=datetime.now(UTC))
    return Content(text, "text/html; charset=utf-8")


def _running(tables: Tables, running: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Curves of the trials in training that are furthest."""
    if running.empty:
        return
    furthest = running.groupby("trial")["step"].max().sort_values(ascending=False, kind="stable")
    rows = running[running["trial"].isin(furthest.index[:_RUNNING])]
    for column in dict.fromkeys((tables.objective, *_LIVE)):
        if column not in rows or not np.isfinite(rows[column].astype("float64")).any():
            continue
        chart = plot_running(rows, column, real=tables.control("real", column))
        shown = quantity(column)
        note = f"{shown.note[:1].upper()}{shown.note[1:]}." if shown.note else ""
        if not is_empty(chart):
            yield f"live_{column}", Figure(f"live_{column}", "live", shown.name, note, chart)


def _figures(tables: Tables) -> list[Figure]:
    if tables.is_empty:
        return []
    return [figure for figure in catalog(tables, _SECTIONS) if figure.key not in _WITHOUT]
