"""What can be computed from sweeps, by name: functions `(params, *readings) -> Content`.

They are named, and imported in the process that reads alone: what answers needs no pandas.
"""

from __future__ import annotations

__all__ = ["VIEWS"]

VIEWS: dict[str, str] = {
    "table": "sweeps.service.tables:table",
    "samples": "sweeps.service.grids:samples",
    "grid": "sweeps.service.grids:grid",
    "best": "sweeps.service.grids:best",
    "page.vega": "sweeps.service.pages_assets:vega",
    "page.sweep": "sweeps.service.pages_sweep:page",
    "page.sweep_charts": "sweeps.service.pages_sweep:charts",
    "page.report": "sweeps.service.pages_sweep:report",
    "page.trial": "sweeps.service.pages_trial:page",
    "page.trial_charts": "sweeps.service.pages_trial:charts",
    "page.compare": "sweeps.service.pages_compare:page",
    "page.compare_charts": "sweeps.service.pages_compare:charts",
}
