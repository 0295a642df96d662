"""Heat maps of the modes that samples reach, over the steps."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.plots.palette import VERDICT_NAMES, VERDICT_ORDER
from analysis.plots.quantities import quantity
from analysis.plots.theme import chart, color, empty, verdict_names

__all__ = ["MEMBERS_SHOWN", "plot_class_coverage", "plot_mode_coverage"]

MEMBERS_SHOWN = 120
"""The most rows of a heat map; of more members, evenly many of every verdict are drawn."""

_NO_MODES = "The dataset has no modes to count"


def plot_mode_coverage(coverage: pd.DataFrame, most: int = MEMBERS_SHOWN) -> alt.TopLevelMixin:
    """Effective modes of every member over the steps, a row each, in blocks by verdict.

    Args:
        coverage: from `analysis.trajectories.mode_coverage`.
        most: members to draw.
    """
    if coverage.empty:
        return empty(_NO_MODES)
    rows = _thinned(coverage, most)
    row_height = max(2, min(12, 420 // max(1, rows["row"].nunique())))
    steps = _readable_steps(rows["step"])
    order = [VERDICT_NAMES[v] for v in VERDICT_ORDER if v in set(rows["verdict"])]
    rows = rows.assign(verdict=verdict_names(rows["verdict"]))
    cells = (
        chart(rows)
        .mark_rect()
        .encode(
            x=alt.X(
                "step:O",
                title=quantity("step").title,
                axis=alt.Axis(values=steps, format=",d", labelAngle=0, domain=False),
            ),
            y=alt.Y("row:O", axis=None),
            color=_coverage_colour("of_real:Q", "Effective modes, of real data's", [0, 1]),
            tooltip=[
                alt.Tooltip("trial:N", title="Trial"),
                alt.Tooltip("seed:N", title="Seed"),
                alt.Tooltip("verdict:N", title="Verdict"),
                alt.Tooltip("step:Q", title="Step", format=",d"),
                alt.Tooltip("modes:Q", title="Effective modes", format=".2f"),
                alt.Tooltip("of_real:Q", title="Of real data's", format=".0%"),
            ],
        )
        .properties(width=480, height=alt.Step(row_height))
    )
    header = alt.Header(labelOrient="top", labelPadding=3, labelFontWeight=500)
    return (
        cells.facet(row=alt.Row("verdict:N", sort=order, header=header), spacing=8)
        .resolve_scale(y="independent")
        .properties(
            usermeta={"margin": 14, "gutter": 0},
            description="Effective number of modes of every member over the steps",
        )
    )


def plot_class_coverage(coverage: pd.DataFrame) -> alt.TopLevelMixin:
    """The share of each class or mode among one member's samples, over the steps.

    Args:
        coverage: from `analysis.trajectories.class_coverage`.
    """
    if coverage.empty:
        return empty(_NO_MODES)
    modes = list(dict.fromkeys(coverage["mode"]))
    known = coverage["of_real"].notna().any()
    shown, title = ("of_real", "Share, of real data's") if known else ("share", "Share of samples")
    return (
        chart(coverage)
        .mark_rect()
        .encode(
            x=alt.X(
                "step:O",
                title=quantity("step").title,
                axis=alt.Axis(
                    values=_readable_steps(coverage["step"]),
                    format=",d",
                    labelAngle=0,
                    domain=False,
                ),
            ),
            y=alt.Y(
                "mode:N", title="Class or mode", sort=modes, axis=alt.Axis(labels=len(modes) <= 30)
            ),
            color=_coverage_colour(f"{shown}:Q", title, [0, 1, 3]),
            tooltip=[
                alt.Tooltip("mode:N", title="Mode"),
                alt.Tooltip("step:Q", title="Step", format=",d"),
                alt.Tooltip("share:Q", title="Share of samples", format=".1%"),
                alt.Tooltip("of_real:Q", title="Of real data's", format=".2f"),
            ],
        )
        .properties(
            width="container",
            height=min(360, max(90, 15 * len(modes))),
            description="Share of samples in each class or mode over the steps",
        )
    )


def _coverage_colour(field: str, title: str, domain: list[float]) -> alt.Color:
    """From none to all; with three numbers from missing over right to too many."""
    shades = [color("alarm"), color("calm"), color("accent")][-len(domain) :]
    return alt.Color(
        field,
        title=title,
        scale=alt.Scale(domain=domain, range=shades, clamp=True, interpolate="lab"),
        legend=alt.Legend(values=domain, format="~g"),
    )


def _thinned(coverage: pd.DataFrame, most: int) -> pd.DataFrame:
    """Rows of so many members, ordered by verdict and by how they ended, numbered in `row`."""
    ends = coverage.groupby(["trial", "seed"]).agg(
        verdict=("verdict", "first"), steps=("step", "max"), final=("of_real", "last")
    )
    place = ends["verdict"].map({name: i for i, name in enumerate(VERDICT_ORDER)})
    ends = ends.assign(place=place).sort_values(
        ["place", "steps", "final"], ascending=[True, False, False]
    )
    if len(ends) > most:
        ends = ends.iloc[np.unique(np.linspace(0, len(ends) - 1, most).round().astype(int))]
    ends["row"] = np.arange(len(ends))
    return coverage.merge(ends[["row"]], left_on=["trial", "seed"], right_index=True)


def _readable_steps(steps: pd.Series, most: int = 6) -> list[int]:
    """Of the steps so few that their labels do not touch."""
    unique = np.sort(steps.unique())
    return [int(step) for step in unique[:: -(-len(unique) // most)]]
