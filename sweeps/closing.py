"""What a person reads when a sweep has ended, or in between: the best, the verdicts, the place."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.config import SweepConfig
from sweeps.store import Store

__all__ = ["BEST_NAME", "Standing", "show", "write_best"]

BEST_NAME = "best.png"
"""File in a sweep's home: samples of the best trial's first seed."""

_BAR = 24  # characters for all members
_STYLES = {"healthy": "green", "undertrained": "yellow", "undetermined": "dim"}
_FINDING_STYLES = {
    "holds up": "green",
    "better than said": "green",
    "worse than said": "yellow",
    "unstable": "red",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """Where a sweep stands, as analysis read it."""

    config: SweepConfig
    store: Store
    trials: pd.DataFrame
    """`analysis.load(directory).trials`"""
    verdicts: pd.DataFrame
    """`analysis.judge`"""
    failures: pd.DataFrame
    """`analysis.compare.failure_rate`"""
    leaders: pd.DataFrame
    """`analysis.compare.leaderboard`"""
    real: float | None
    """The objective of held-out real images."""
    confirmed: pd.DataFrame | None = None
    """`analysis.confirm.confirmed`, of a sweep that confirms another."""


def show(standing: Standing, console: Console) -> None:
    """Prints it."""
    ended, asked = standing.trials["trial"].nunique(), standing.config.search.trials
    console.print(Text(f"{standing.store.name}: {ended} of {asked} trials ended", "bold"))
    if standing.confirmed is not None:
        console.print(_confirmed(standing, standing.confirmed))
    elif len(standing.leaders):
        console.print(_leaders(standing))
    if len(standing.verdicts):
        console.print(_verdicts(standing.verdicts))
        console.print(_failure_rate(standing.failures.iloc[0]))
    console.print(f"Results: {standing.store.address}", soft_wrap=True)
    best = standing.store.home / BEST_NAME
    if best.exists():
        console.print(f"Samples of the best: {best}", soft_wrap=True)


def write_best(leaders: pd.DataFrame, samples: pd.DataFrame, directory: Path) -> None:
    """Keeps the best trial's grid of samples as a file that any viewer opens.

    Args:
        leaders: best first; none, no file.
        samples: `analysis.load(directory).samples`.
        directory: the sweep's home, see `sweeps.store.Store`.
    """
    grids = samples[samples["trial"].isin(leaders["trial"].head(1))]
    if grids.empty:
        return
    temporary = directory / f".{BEST_NAME}.{os.getpid()}"
    # It is a convenience, and the sweep may be somebody else's.
    with contextlib.suppress(OSError):
        temporary.write_bytes(grids.sort_values(["seed", "step"]).iloc[0]["png"])
        temporary.replace(directory / BEST_NAME)


def _leaders(standing: Standing) -> Table:
    objective = standing.config.search.objective
    real = "" if standing.real is None else f" (real images: {standing.real:.3g})"
    table = Table(title=f"Best trials by {objective}{real}", title_justify="left", box=None)
    searched = list(standing.config.searched)
    for name in ("trial", objective, *searched, "verdicts of its seeds"):
        is_text = name in ("loss", "verdicts of its seeds")
        table.add_column(name, justify="left" if is_text else "right", overflow="fold")
    for _, row in standing.leaders.iterrows():
        verdicts = standing.verdicts.loc[standing.verdicts["trial"] == row["trial"], "verdict"]
        values = [_short(row[name]) for name in ("trial", "trial_objective", *searched)]
        table.add_row(*values, _counted(verdicts))
    return table


def _confirmed(standing: Standing, confirmed: pd.DataFrame) -> Table:
    """What was said, the interquartile mean over fresh seeds, failing ones; 95% intervals."""
    search = standing.config.search
    assert search.confirms is not None  # for the type checker
    title = f"Trials of {search.confirms.sweep} on fresh seeds, by {search.objective}"
    table = Table(title=title, title_justify="left", box=None)
    for name in ("trial", "here", "said", "fresh seeds", "fails"):
        table.add_column(name, justify="right")
    table.add_column("verdicts of its seeds", overflow="fold")
    table.add_column("")
    for _, row in confirmed.iterrows():
        finding = row["finding"]
        table.add_row(
            f"{row['trial']}",
            f"{row['again']}",
            _short(row["said"]),
            f"{_short(row['iqm'])} ({_short(row['iqm_low'])} to {_short(row['iqm_high'])})",
            _share(row),
            "-" if pd.isna(row["verdicts"]) else _words(row["verdicts"]),
            Text("-" if pd.isna(finding) else finding, _FINDING_STYLES.get(finding, "")),
        )
    return table


def _share(row: pd.Series) -> str:
    """Of the judged seeds, with its interval."""
    if pd.isna(row["failure_rate"]):
        return "-"
    ends = f"{row['failure_low']:.0%} to {row['failure_high']:.0%}"
    return f"{row['failures']:.0f} of {row['judged']:.0f} ({ends})"


def _counted(verdicts: pd.Series) -> str:
    return ", ".join(f"{n} {_words(verdict)}" for verdict, n in verdicts.value_counts().items())


def _verdicts(verdicts: pd.DataFrame) -> Table:
    table = Table(title="Verdicts on members", title_justify="left", box=None, show_header=False)
    for verdict, n in verdicts["verdict"].value_counts().items():
        bar = "█" * max(1, round(_BAR * n / len(verdicts)))
        table.add_row(_words(verdict), f"{n}", Text(bar, _STYLES.get(str(verdict), "red")))
    return table


def _failure_rate(row: pd.Series) -> str:
    if not row["judged"]:
        return "Failure rate: unknown, no member trained for long enough to be judged"
    return (
        f"Failure rate: {row['rate']:.0%} of {row['judged']:.0f} judged members "
        f"(95% interval {row['low']:.0%} to {row['high']:.0%}); "
        f"{row['undertrained'] + row['undetermined']:.0f} ended too early to say"
    )


def _words(verdict: object) -> str:
    return str(verdict).replace("_", " ")


def _short(value: Any) -> str:
    if pd.isna(value):
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"
    return f"{value}"
