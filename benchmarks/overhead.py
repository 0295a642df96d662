"""What a sweep's workers do with their time beside training, from the stopwatch's notes."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.memory import Finished
from benchmarks.searches import ROOT, run_gansweep
from benchmarks.searching import Search

__all__ = ["SHARES", "run_timed", "shares"]

SHARES = {
    "training": "training",
    "evaluation": "evaluation of samples at rungs and ends, pictures",
    "storage": "Parquet and networks",
    "exchange": "Optuna, through the study's owner, and the rest of a rung",
    "between": "Ray Tune, between two rungs",
    "start": "start, to a worker's first rung",
    "end": "end, from a worker's last rung",
}
"""What the workers' time goes to, and what that is; the shares sum to 1."""

_STOPWATCH = ROOT / "benchmarks" / "stopwatch"

Span = tuple[str, float, float]
"""What was timed, its begin and its end in seconds since the epoch."""


def run_timed(search: Search) -> dict[str, Any]:
    """Makes the search with `gansweep run`, its workers timed.

    Returns:
        As `run_gansweep`, and the `shares` of wall time x workers.
    """
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as notes:
        path = os.pathsep.join([str(_STOPWATCH), str(ROOT)])

        def look(_: Path, done: Finished) -> None:
            workers = [_spans(file) for file in Path(notes).iterdir()]
            end = done.began_at + done.wall_s
            found.update(shares([w for w in workers if w], done.began_at, end))

        variables = {"PYTHONPATH": path, "GANSWEEP_STOPWATCH": notes}
        values = run_gansweep(search, environment=variables, look=look)
    return values | {"shares": {name: round(share, 4) for name, share in found.items()}}


def shares(workers: list[list[Span]], began_at: float, ended_at: float) -> dict[str, float]:
    """Shares of the command's wall time x workers, by the names in `SHARES`.

    Training, evaluation and storage are what was timed; the exchange is the rest of a rung.

    Args:
        workers: the spans of each.
        began_at: the command's start.
        ended_at: its end.

    Raises:
        ValueError: no worker noted a rung.
    """
    seconds: dict[str, float] = defaultdict(float)
    for spans in workers:
        rungs = [(begin, end) for name, begin, end in spans if name == "rung"]
        if not rungs:
            continue
        first, last = min(rungs)[0], max(end for _, end in rungs)
        inside = [span for span in spans if span[0] != "rung" and first <= span[1] <= last]
        for name, begin, end in inside:
            seconds[name] += end - begin
        in_rungs = sum(end - begin for begin, end in rungs)
        timed = sum(end - begin for _, begin, end in inside)
        seconds["exchange"] += max(0.0, in_rungs - timed)
        seconds["between"] += last - first - max(in_rungs, timed)
        seconds["start"] += first - began_at
        seconds["end"] += ended_at - last
    total = sum(seconds.values())
    if not total:
        raise ValueError("no worker noted a rung: sweeps.worker.Worker.advance was not timed")
    return {name: seconds[name] / total for name in SHARES}


def _spans(notes: Path) -> list[Span]:
    lines = (line.split() for line in notes.read_text().splitlines())
    return [(name, float(begin), float(end)) for name, begin, end in lines]
