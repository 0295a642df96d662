"""How a benchmark tells its figures: with what they were measured on, printed and written."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, load_averages

__all__ = ["Session", "latency"]


class Session:
    """A run of a benchmark on this machine's CPU; made when it begins."""

    def __init__(self) -> None:
        self._before = load_averages()

    def told(self, **figures: Any) -> str:
        """JSON of the machine, its load before and now, and the figures."""
        session = describe("cpu") | {"load_before": self._before, "load_after": load_averages()}
        return json.dumps({"session": session, **figures}, indent=1) + "\n"

    def tell(self, out: Path | None, **figures: Any) -> None:
        """Prints that, and writes it to a file if there is one."""
        text = self.told(**figures)
        sys.stdout.write(text)
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text)


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """How long a request takes, of the times that some took; NaN of none."""
    ordered = sorted(seconds) or [float("nan")]
    return {
        "count": len(seconds),
        "median_ms": 1e3 * statistics.median(ordered),
        "p95_ms": 1e3 * ordered[int(0.95 * (len(ordered) - 1))],
        "max_ms": 1e3 * ordered[-1],
    }
