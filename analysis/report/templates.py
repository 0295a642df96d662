"""Charts of a single trial, without its data, which the page fills in when it is opened."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.plots.curves import plot_curves
from analysis.plots.modes import plot_class_coverage
from analysis.plots.palette import VERDICT_NAMES, VERDICT_ORDER, VERDICTS
from analysis.plots.quantities import quantity

__all__ = ["class_template", "curve_template"]


def curve_template(column: str) -> dict[str, Any]:
    """Vega-Lite of `plot_curves` for a column.

    Returns:
        A layer of bands over one of lines, whose data are empty. The y scale is linear;
        `usermeta.log` says whether it is to be logarithmic where all values are positive.
    """
    rows = pd.DataFrame({"seed": [0, 0], "step": [0, 1], column: [0.0, 1.0]})
    verdicts = pd.DataFrame({"seed": [0], "verdict": ["healthy"], "onset_step": [0.0]})
    spec = plot_curves(rows, column, verdicts).to_dict(validate=False)
    scale = {
        "domain": [VERDICT_NAMES[verdict] for verdict in VERDICT_ORDER],
        "range": [shade.light for shade in VERDICTS.values()],
    }
    for layer in spec["layer"]:
        layer["encoding"]["color"]["scale"] = scale
    return _emptied(spec) | {"usermeta": {"log": quantity(column).is_log}}


def class_template() -> dict[str, Any]:
    """Vega-Lite of `plot_class_coverage`, its data empty."""
    rows = pd.DataFrame({"step": [0], "mode": ["0"], "share": [1.0], "of_real": [1.0]})
    return _emptied(plot_class_coverage(rows).to_dict(validate=False))


def _emptied(spec: dict[str, Any]) -> dict[str, Any]:
    for name in ("datasets", "config"):
        spec.pop(name, None)
    for part in (spec, *spec.get("layer", ())):
        if "data" in part:
            part["data"] = {"values": []}
    return spec
