"""Losses and other variants held against each other."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from analysis.plots.multiples import small_multiples
from analysis.plots.palette import VERDICT_NAMES, VERDICT_ORDER
from analysis.plots.quantities import greater_is_better, quantity
from analysis.plots.scales import number_axis
from analysis.plots.theme import chart, color, empty, verdict_names, verdict_scale

__all__ = ["plot_by_variant", "plot_improvement", "plot_progress", "plot_tally"]

_ROW = 26  # pixels of a variant


def plot_tally(tally: pd.DataFrame) -> alt.TopLevelMixin:
    """The verdicts in each variant, as shares of its members.

    Args:
        tally: from `analysis.tally.tally`.
    """
    if tally.empty:
        return empty("No member has ended yet")
    order = {verdict: i for i, verdict in enumerate(VERDICT_ORDER)}
    rows = tally.assign(order=tally["verdict"].map(order), verdict=verdict_names(tally["verdict"]))
    healthy = rows[rows["verdict"] == VERDICT_NAMES["healthy"]].set_index("variant")["share"]
    variants = sorted(rows["variant"].unique(), key=lambda name: (-healthy.get(name, 0), name))
    return (
        chart(rows)
        .mark_bar(size=_ROW - 10, stroke=color("surface"), strokeWidth=1)
        .encode(
            x=alt.X(
                "share:Q",
                title="Share of members",
                axis=alt.Axis(format="%", tickCount=5),
                scale=alt.Scale(domain=[0, 1]),
            ),
            y=alt.Y("variant:N", title=None, sort=variants, axis=alt.Axis(grid=False)),
            color=alt.Color("verdict:N", title=None, scale=verdict_scale(rows["verdict"])),
            order="order:Q",
            tooltip=[
                alt.Tooltip("variant:N", title="Variant"),
                alt.Tooltip("verdict:N", title="Verdict"),
                alt.Tooltip("members:Q", title="Members"),
                alt.Tooltip("share:Q", title="Share", format=".0%"),
            ],
        )
        .properties(
            width="container",
            height=_ROW * len(variants),
            description="Verdicts on the members of each variant",
        )
    )


def plot_by_variant(
    by_variant: pd.DataFrame, what: str = "failure_rate", *, objective: str = "frechet_distance"
) -> alt.TopLevelMixin:
    """A dot with its interval for each variant, the best on top.

    Args:
        by_variant: from `analysis.variants.by_variant`.
        what: "failure_rate", with Wilson intervals; "iqm", the interquartile mean of the
            objective with bootstrap intervals.
        objective: what the sweep optimised.
    """
    stem = "failure" if what == "failure_rate" else what
    rows = by_variant.rename(columns={f"{stem}_low": "low", f"{stem}_high": "high", what: "mean"})
    rows = rows[rows["mean"].notna()].assign(variant=lambda frame: frame["variant"].astype("str"))
    if rows.empty:
        return empty("No variant has enough members that can be judged")
    ascending = what == "failure_rate" or not greater_is_better(objective)
    rows = rows.sort_values("mean", ascending=ascending)
    if what == "failure_rate":
        axis: dict[str, Any] = {
            "title": "Failed members, of those judged (Wilson interval)",
            "axis": alt.Axis(format="%", tickCount=5),
            "scale": alt.Scale(domain=[0, 1]),
        }
    else:
        shown = quantity(objective)
        axis = number_axis(
            rows[["mean", "low", "high"]],
            f"{shown.name}, interquartile mean",
            is_log=shown.is_log,
            padding=6,
        )
    base = chart(rows).encode(
        y=alt.Y("variant:N", title=None, sort=list(rows["variant"])),
        tooltip=[
            alt.Tooltip("variant:N", title="Variant"),
            alt.Tooltip("mean:Q", title="Estimate", format=".3~g"),
            alt.Tooltip("low:Q", title="Low", format=".3~g"),
            alt.Tooltip("high:Q", title="High", format=".3~g"),
            alt.Tooltip("trials:Q", title="Trials"),
            alt.Tooltip("judged:Q", title="Judged members"),
        ],
    )
    rule = base.mark_rule(strokeWidth=5, opacity=0.35, color=color("accent"), strokeCap="round")
    dot = base.mark_point(filled=True, size=85, color=color("accent"), opacity=1)
    return alt.layer(
        rule.encode(x=alt.X("low:Q", **axis), x2="high:Q"), dot.encode(x=alt.X("mean:Q", **axis))
    ).properties(
        width="container", height=_ROW * len(rows), description=f"{axis['title']}, by variant"
    )


def plot_improvement(improvement: pd.DataFrame) -> alt.TopLevelMixin:
    """How likely a random member of one variant is better than one of another.

    Args:
        improvement: from `analysis.variants.improvement`.
    """
    rows = improvement[improvement["probability"].notna()]
    if rows.empty:
        return empty("There are no two variants to compare")
    rows = rows.astype({"a": "str", "b": "str"})
    strength = rows.groupby("a")["probability"].mean().sort_values(ascending=False)
    order = [str(name) for name in strength.index]
    unsure = (rows["low"] <= 0.5) & (rows["high"] >= 0.5)
    rows = rows.assign(sure=~unsure)
    base = chart(rows).encode(
        x=alt.X("b:N", title="... than one of", sort=order, axis=alt.Axis(labelAngle=-35)),
        y=alt.Y("a:N", title="A member of ... is better", sort=order, axis=alt.Axis(grid=False)),
        tooltip=[
            alt.Tooltip("a:N", title="A member of"),
            alt.Tooltip("b:N", title="beats one of"),
            alt.Tooltip("probability:Q", title="with probability", format=".2f"),
            alt.Tooltip("low:Q", title="Low", format=".2f"),
            alt.Tooltip("high:Q", title="High", format=".2f"),
        ],
    )
    shades = [color("alarm"), color("calm"), color("accent")]
    cells = base.mark_rect(stroke=color("surface"), strokeWidth=2).encode(
        color=alt.Color(
            "probability:Q",
            scale=alt.Scale(domain=[0, 0.5, 1], range=shades, interpolate="lab"),
            legend=None,
        )
    )
    text = base.mark_text(fontSize=11).encode(
        text=alt.Text("probability:Q", format=".0%"),
        color=alt.when("datum.probability > 0.75 || datum.probability < 0.2")
        .then(alt.value(color("surface")))
        .otherwise(alt.value(color("text"))),
        opacity=alt.when("datum.sure").then(alt.value(1)).otherwise(alt.value(0.45)),
    )
    return alt.layer(cells, text).properties(
        width="container",
        height=34 * len(order),
        description="Probability that a member of one variant is better than one of another",
    )


def plot_progress(
    progress: pd.DataFrame, against: str = "g_updates", *, objective: str = "frechet_distance"
) -> alt.TopLevelMixin:
    """The best objective so far over what it cost, by variant: medians over the members.

    Args:
        progress: from `analysis.variants.progress`.
        against: its column that is the cost.
        objective: what the sweep optimised.
    """
    rows = progress[progress["best"].notna()]
    if rows.empty:
        return empty("Nothing was measured yet")
    shown = quantity(objective)
    value = number_axis(
        rows[["best", "low", "high"]], f"Best {shown.name} so far", is_log=shown.is_log
    )
    base = chart(rows).encode(
        x=alt.X(f"{against}:Q", title=_cost(against), axis=alt.Axis(format="~s", tickCount=4)),
        tooltip=[
            alt.Tooltip("variant:N", title="Variant"),
            alt.Tooltip(f"{against}:Q", title=_cost(against), format=",.4~g"),
            alt.Tooltip("best:Q", title="Median of members", format=".4~g"),
            alt.Tooltip("low:Q", title="Lower quartile", format=".4~g"),
            alt.Tooltip("high:Q", title="Upper quartile", format=".4~g"),
        ],
    )
    return small_multiples(base, "best", value, rows, descending=greater_is_better(objective))


def _cost(against: str) -> str:
    return {
        "g_updates": "Updates of G (steps)",
        "d_updates": "Updates of D (steps)",
        "seconds": "Time since it was begun (s)",
    }.get(against, quantity(against).title)
