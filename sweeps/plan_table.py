"""The plan of a sweep as a person reads it after a dry run."""

from __future__ import annotations

from sweeps.config import SweepConfig
from sweeps.plan import Plan

__all__ = ["plan_table"]


def plan_table(config: SweepConfig, planned: Plan) -> str:
    """The plan as comments, so that the whole output of a dry run is TOML."""
    memory = planned.estimated_bytes_per_worker
    members = config.search.trials * config.train.seeds
    rows = {
        "device": planned.device,
        "workers": f"{planned.workers} ({planned.threads_per_worker} thread each)",
        "slots per worker": f"{planned.slots} members at once",
        "trials in flight": f"{planned.max_in_flight} of {config.search.trials}",
        "memory per worker": "unknown" if memory is None else f"about {memory / 2**30:.1f} GiB",
        "G updates": f"at most {members * config.train.steps:,}",
    }
    return "\n".join(["# The plan", *(f"#   {key:<18} {value}" for key, value in rows.items())])
