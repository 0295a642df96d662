"""What a sweep's page says and draws. Runs where sweeps are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import numpy as np

from analysis.plots.quantities import quantity
from analysis.plots.running import plot_running
from analysis.plots.theme import is_empty, unchecked
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
        curves=[(figure.key, figure) for figure in _running(reading)],
        samples=latest_samples(reading.sweep.samples, board, running, _SAMPLES),
        rows=board.rows[:most],
        more=max(0, len(board.rows) - most),
        ended=len(board.rows),
        varied=board.varied,
        bad=bad[:most],
        more_bad=max(0, len(bad) - most),
        bad_count=len(bad),
        figures=_figures(reading),
        config=config_text(tables),
    )
    return Content(text, "text/html; charset=utf-8")


def charts(params: Mapping[str, str], reading: Reading) -> Content:
    """The charts of its page."""
    figures = [*_running(reading), *_figures(reading)]
    return charts_json([(figure.key, figure.chart) for figure in figures], reading.name)


def report(params: Mapping[str, str], reading: Reading) -> Content:
    """The page that `gansweep report` writes."""
    text = render_report(reading.tables, made_at=datetime.now(UTC))
    return Content(text, "text/html; charset=utf-8")


def _running(reading: Reading) -> list[Figure]:
    """Curves of the trials in training that are furthest."""
    if "running" not in reading.made:
        with unchecked():
            reading.made["running"] = [*_curves(reading.tables)]
    found: list[Figure] = reading.made["running"]
    return found


def _curves(tables: Tables) -> Iterator[Figure]:
    running = in_training(tables)
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
            yield Figure(f"live_{column}", "live", shown.name, note, chart)


def _figures(reading: Reading) -> list[Figure]:
    """What its results show."""
    if reading.tables.is_empty:
        return []
    if "figures" not in reading.made:
        with unchecked():
            known = catalog(reading.tables, _SECTIONS)
        reading.made["figures"] = [figure for figure in known if figure.key not in _WITHOUT]
    found: list[Figure] = reading.made["figures"]
    return found
