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
}
