"""Every figure of the report: its place, its words and its chart."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.plots.budget import plot_budget_curve
from analysis.plots.curves import plot_bands
from analysis.plots.importance import plot_importances
from analysis.plots.members import plot_members
from analysis.plots.modes import MEMBERS_SHOWN, plot_mode_coverage
from analysis.plots.parallel import plot_parallel
from analysis.plots.quantities import quantity
from analysis.plots.regions import plot_failure_map, plot_stable_range
from analysis.plots.seeds import TRIALS_SHOWN, plot_by_trial
from analysis.plots.theme import is_empty
from analysis.plots.variants import (
    plot_by_variant,
    plot_improvement,
    plot_progress,
    plot_tally,
)
from analysis.report.tables import RATES, Tables, varied
from analysis.trajectories import CURVES

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Figure", "catalog"]


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart and the words around it."""

    key: str
    """Names its file and its place on the page."""
    section: str
    title: str
    caption: str
    """One line that says what to see."""
    chart: alt.TopLevelMixin
    size: str = "half"
    """half, whole, or wide: whole, and scrolled sideways where the page is narrow."""


def catalog(tables: Tables, sections: Collection[str] | None = None) -> list[Figure]:
    """The figures for which the sweep has data, in the order of the page.

    Args:
        tables: from `analysis.report.tables.gather`.
        sections: those that are wanted; all if None.
    """
    parts = {
        "leaderboard": _leaderboard,
        "training": _training,
        "modes": _modes,
        "variants": _variants,
        "budget": _budget,
        "importance": _importance,
        "regions": _regions,
    }
    wanted = [part for name, part in parts.items() if sections is None or name in sections]
    return [figure for part in wanted for figure in _paired(part(tables))]


def _paired(figures: Iterator[Figure]) -> list[Figure]:
    """Those that show something; of an odd number of halves the first is made whole."""
    shown = [figure for figure in figures if not is_empty(figure.chart)]
    halves = [figure for figure in shown if figure.size == "half"]
    if len(halves) % 2 == 0:
        return shown
    return [replace(f, size="whole") if f is halves[0] else f for f in shown]


def _leaderboard(tables: Tables) -> Iterator[Figure]:
    yield Figure(
        "seeds",
        "leaderboard",
        "What the seeds agree on",
        f"The best {min(TRIALS_SHOWN, len(tables.trials))} trials; the longer a bar, the less "
        "its seeds agree. Click a dot for the trial.",
        plot_by_trial(tables.trials, objective=tables.objective),
        "whole",
    )


def _training(tables: Tables) -> Iterator[Figure]:
    for column in CURVES:
        if tables.bands_by_loss["variant"].nunique() > 1 and column.endswith("_loss_mean"):
            continue
        yield _band(tables, column)
    if tables.bands_by_loss["variant"].nunique() > 1:
        for column in ("d_loss_mean", "g_loss_mean"):
            yield Figure(
                column,
                "training",
                f"{quantity(column).name}, loss by loss",
                "Each loss has a scale of its own, so compare shapes, not heights.",
                plot_bands(tables.bands_by_loss, column),
                "whole",
            )


def _band(tables: Tables, column: str) -> Figure:
    shown = quantity(column)
    note = shown.note[:1].upper() + shown.note[1:]
    return Figure(
        column,
        "training",
        shown.name,
        f"{note or 'Medians and quartiles of the members of each verdict'}.",
        plot_bands(
            tables.bands,
            column,
            real=_line(tables.control("real", column)),
            untrained=None,
        ),
    )


def _modes(tables: Tables) -> Iterator[Figure]:
    members = len(tables.coverage[["trial", "seed"]].drop_duplicates())
    some = f", {MEMBERS_SHOWN} of {members:,} members" if members > MEMBERS_SHOWN else ""
    yield Figure(
        "modes",
        "modes",
        "Modes reached by every member",
        f"A row for each member{some}; full colour is all modes, a row that fades has lost some.",
        plot_mode_coverage(tables.coverage),
        "whole",
    )
    x, y = "precision_k5", "coverage_k5"
    yield Figure(
        "quality",
        "modes",
        "Quality against coverage",
        "At the end of training: to the right samples look real, upwards they cover real data.",
        plot_members(
            _judged(tables),
            x=f"final_{x}",
            y=f"final_{y}",
            real=(tables.control("real", x), tables.control("real", y)),
        ),
        "whole",
    )


def _variants(tables: Tables) -> Iterator[Figure]:
    name = quantity(tables.by).name.lower()
    yield Figure(
        "verdicts",
        "variants",
        f"Verdicts by {name}",
        "The more green, the more members trained soundly; grey ones cannot be told.",
        plot_tally(tables.tally),
        "whole",
    )
    yield Figure(
        "failure_rate",
        "variants",
        f"Failure rate by {name}",
        "Where two bars overlap, which is the more stable is open.",
        plot_by_variant(tables.variants, objective=tables.objective),
    )
    yield Figure(
        "iqm",
        "variants",
        f"{quantity(tables.objective).name} by {name}",
        "Interquartile means over all members; a diverged one counts as untrained.",
        plot_by_variant(tables.variants, "iqm", objective=tables.objective),
    )
    yield Figure(
        "progress",
        "variants",
        "Progress with training",
        "Best so far of the median member, with quartiles: the steeper, the sooner it is good.",
        plot_progress(tables.progress, objective=tables.objective),
        "whole",
    )
    yield Figure(
        "improvement",
        "variants",
        "Who beats whom",
        "Chance that a random member of the row is better than one of the column; pale: open.",
        plot_improvement(tables.improvement),
        "wide",
    )


def _budget(tables: Tables) -> Iterator[Figure]:
    yield Figure(
        "budget",
        "budget",
        "What so many trials find",
        "Where the curve is flat, more trials were not worth it.",
        plot_budget_curve(tables.budget, objective=tables.objective),
        "whole",
    )
    if tables.budget_by_variant["variant"].nunique() > 1:
        yield Figure(
            "budget_by_variant",
            "budget",
            f"The same for each {quantity(tables.by).name.lower()}",
            "Compare at the same number of trials: what has more trials has had more chances.",
            plot_budget_curve(tables.budget_by_variant, objective=tables.objective),
            "whole",
        )


def _importance(tables: Tables) -> Iterator[Figure]:
    yield Figure(
        "importance",
        "importance",
        "Importance of hyperparameters",
        "How much of what differs between trials goes with each; it does not say which way.",
        plot_importances(tables.importances),
        "whole",
    )
    yield Figure(
        "parallel",
        "importance",
        "All trials at once",
        "A line for each trial, the stronger the better. Drag along an axis to keep some.",
        plot_parallel(tables.trials, _by_importance(tables), objective=tables.objective),
        "wide",
    )


def _by_importance(tables: Tables) -> list[str]:
    rows = tables.importances[tables.importances["target"] == "objective"]
    ranks = rows.set_index("hyperparameter")["importance"].to_dict()
    return sorted(varied(tables.trials), key=lambda name: -ranks.get(name, 0.0))


def _regions(tables: Tables) -> Iterator[Figure]:
    for rate, found in tables.maps.items():
        name = quantity(rate).name
        yield Figure(
            f"map_{rate}",
            "regions",
            f"Failures by {_lower(name)}",
            "Orange is where members fail; the number counts those that could be judged.",
            plot_failure_map(found, x=rate),
            "whole",
        )
    for rate, found in tables.ranges.items():
        yield Figure(
            f"range_{rate}",
            "regions",
            f"Stable range of the {_lower(quantity(rate).name)}",
            "The widest stretch in which at most 20% of the judged members fail.",
            plot_stable_range(found, x=rate, within=_span(tables.sweep.trials[rate])),
        )
    yield Figure(
        "rates",
        "regions",
        "Verdicts over both learning rates",
        "Each dot is a member. Click a verdict to see it alone, a dot for its trial.",
        plot_members(_judged(tables), x=RATES[0], y=RATES[1]),
        "whole",
    )


def _judged(tables: Tables) -> pd.DataFrame:
    return tables.members[tables.members["verdict"].notna()]


def _line(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _span(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
