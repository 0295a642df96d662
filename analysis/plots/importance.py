"""Which hyperparameters matter."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.plots.quantities import quantity
from analysis.plots.theme import chart, color, empty

__all__ = ["plot_importances"]

_TARGETS = {
    "objective": "For the objective",
    "collapse": "For whether modes are lost",
    "stability": "For whether training is stable",
}


def plot_importances(importances: pd.DataFrame) -> alt.TopLevelMixin:
    """Bars of importance, for the objective, for collapse and for stability.

    Args:
        importances: from `analysis.importance.importances`.
    """
    rows = importances[importances["importance"].notna()]
    if rows.empty:
        return empty("There are too few trials to tell what matters")
    names = rows["hyperparameter"].map(lambda column: quantity(column).name)
    rows = rows.assign(name=names, about=rows["target"].map(lambda t: _TARGETS.get(t, t)))
    order = list(rows.groupby("name")["importance"].max().sort_values(ascending=False).index)
    base = chart(rows).encode(
        y=alt.Y("name:N", title=None, sort=order, axis=alt.Axis(grid=False)),
        x=alt.X(
            "importance:Q",
            title="Share of importance",
            axis=alt.Axis(format="%", tickCount=4),
            scale=alt.Scale(domainMin=0),
        ),
        tooltip=[
            alt.Tooltip("about:N", title="Target"),
            alt.Tooltip("name:N", title="Hyperparameter"),
            alt.Tooltip("importance:Q", title="Importance", format=".0%"),
            alt.Tooltip("method:N", title="Method"),
        ],
    )
    bars = base.mark_bar(size=12, color=color("accent"), cornerRadiusEnd=2)
    text = base.mark_text(align="left", dx=5, color=color("muted")).encode(
        text=alt.Text("importance:Q", format=".0%")
    )
    layers = alt.layer(bars, text)
    targets = [name for name in _TARGETS.values() if name in set(rows["about"])]
    if len(targets) == 1:
        return layers.properties(
            width="container", height=24 * len(order), description="Importance of hyperparameters"
        )
    return (
        layers.properties(width=200, height=24 * len(order))
        .facet(alt.Facet("about:N", title=None, sort=targets), columns=3)
        .properties(
            usermeta={"margin": 150, "gutter": 46, "least": 150},
            description=f"Importance of hyperparameters: {', '.join(targets)}",
        )
    )
