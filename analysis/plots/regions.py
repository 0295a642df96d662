"""Where training fails: maps over the learning rates."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.plots.quantities import quantity
from analysis.plots.scales import number_axis
from analysis.plots.theme import chart, color, empty

__all__ = ["plot_failure_map", "plot_stable_range"]

_ROW = 30


def plot_failure_map(failure_map: pd.DataFrame, *, x: str = "lr_g") -> alt.TopLevelMixin:
    """Share of failed members in each bin of a rate, for each variant.

    Args:
        failure_map: from `analysis.regions.failure_map`; in each cell stand its judged members.
        x: the hyperparameter that its bins are of.
    """
    rows = failure_map[failure_map["judged"] > 0]
    if rows.empty:
        return empty("No member could be judged yet")
    shown = quantity(x)
    variants = rows["variant"].nunique()
    across = number_axis(rows[["low", "high"]], shown.title, is_log=shown.is_log)
    base = chart(rows).encode(
        y=alt.Y("variant:N", title=None, axis=alt.Axis(grid=False)),
        tooltip=[
            alt.Tooltip("variant:N", title="Variant"),
            alt.Tooltip("low:Q", title=f"{shown.name} from", format=".2~e"),
            alt.Tooltip("high:Q", title="to", format=".2~e"),
            alt.Tooltip("failures:Q", title="Failures"),
            alt.Tooltip("judged:Q", title="Judged members"),
            alt.Tooltip("members:Q", title="Members"),
        ],
    )
    shades = [color("wash"), color("calm"), color("alarm")]
    cells = base.mark_rect(stroke=color("surface"), strokeWidth=2).encode(
        x=alt.X("low:Q", **across),
        x2="high:Q",
        color=alt.Color(
            "rate:Q",
            title="Members that failed",
            scale=alt.Scale(domain=[0, 0.2, 1], range=shades, interpolate="lab"),
            legend=alt.Legend(format="%", values=[0, 0.5, 1]),
        ),
    )
    middle = "sqrt(datum.low * datum.high)" if shown.is_log else "(datum.low + datum.high) / 2"
    text = (
        base.transform_calculate(middle=middle)
        .mark_text(fontSize=10.5)
        .encode(
            x=alt.X("middle:Q", **across),
            text="judged:Q",
            color=alt.when("datum.rate > 0.6")
            .then(alt.value(color("surface")))
            .otherwise(alt.value(color("muted"))),
        )
    )
    return alt.layer(cells, text).properties(
        width="container",
        height=_ROW * variants,
        description=f"Failed members by {shown.name} and variant; numbers count judged members",
    )


def plot_stable_range(
    stable_range: pd.DataFrame, *, x: str = "lr_g", within: tuple[float, float] | None = None
) -> alt.TopLevelMixin:
    """The widest range of a rate in which few members fail, a bar for each variant.

    Args:
        stable_range: from `analysis.regions.stable_range`.
        x: the hyperparameter that it is of.
        within: what was searched; the axis shows all of it.
    """
    rows = stable_range[stable_range["low"].notna()]
    if rows.empty:
        return empty("No variant was stable over a range that can be told")
    shown = quantity(x)
    widths = (
        rows["decades"].map(" ({:.1f} decades)".format).where(rows["decades"] > 0, " (one value)")
    )
    rows = rows.assign(name=rows["variant"].astype("str") + widths)
    base = chart(rows).encode(
        y=alt.Y(
            "name:N",
            title=None,
            sort=list(rows["name"]),
            axis=alt.Axis(grid=False, labelLimit=220),
        ),
        tooltip=[
            alt.Tooltip("variant:N", title="Variant"),
            alt.Tooltip("low:Q", title="From", format=".2~e"),
            alt.Tooltip("high:Q", title="To", format=".2~e"),
            alt.Tooltip("members:Q", title="Judged members in it"),
        ],
    )
    numbers = pd.concat([rows["low"], rows["high"], pd.Series(within or (), dtype="float64")])
    across = number_axis(numbers.to_frame(), shown.title, is_log=shown.is_log)
    across["scale"].domain = [float(numbers.min()), float(numbers.max())]
    low, high = alt.X("low:Q", **across), alt.X("high:Q", **across)
    bar = base.mark_rule(strokeWidth=8, color=color("accent")).encode(x=low, x2="high:Q")
    # Ends, since a range may be a single value.
    end = base.mark_point(filled=True, size=90, opacity=1, color=color("accent"))
    return alt.layer(bar, end.encode(x=low), end.encode(x=high)).properties(
        width="container",
        height=_ROW * len(rows),
        description=f"Widest range of {shown.name} in which at most 20% of members fail",
    )
