"""Runs whole searches: `gansweep run` and stock Ray Tune, as commands, from their start."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.contenders import gansweep, stock
from benchmarks.memory import Finished, run_watched
from benchmarks.searching import OBJECTIVE, Search

__all__ = ["ROOT", "improvements", "run_gansweep", "run_stock"]

ROOT = Path(__file__).resolve().parents[1]
"""Of the clone."""


def run_stock(search: Search) -> dict[str, Any]:
    """Makes the search with Ray Tune; see `_values` for what comes of it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        command = stock.command(search, folder)
        done = run_watched(command, cwd=ROOT, log=folder / "log", environment=_variables())
        reports = json.loads((folder / "reports.json").read_text())
    begun = min(report["begun"] for report in reports)
    seen = [(report["at"], report["value"]) for report in reports]
    steps = {(report["begun"], report["step"]) for report in reports}
    return _values(search, done, begun, seen, len(steps) * search.eval_every)


def run_gansweep(
    search: Search,
    *,
    environment: dict[str, str] | None = None,
    look: Callable[[Path, Finished], None] = lambda folder, done: None,
) -> dict[str, Any]:
    """Makes the search with `gansweep run`; see `_values` for what comes of it.

    Args:
        search: what to make.
        environment: more variables for its processes.
        look: called with the sweep's directory before it is removed.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        history = History(folder / "sweep" / "history")
        done = run_watched(
            gansweep.command(search, folder),
            cwd=ROOT,
            log=folder / "log",
            environment=_variables() | (environment or {}),
            on_tick=history.look,
        )
        history.look()  # what came since the last time
        look(folder / "sweep", done)
        steps = _trained_steps(folder / "sweep")
    return _values(search, done, history.begun, history.seen, steps)


class History:
    """The parts of a running sweep's history, each read as it appears.

    At the end the sweep puts a few large parts beside the many and then removes these. A large
    part is later and no better than what it is made of, so it improves nothing, unless a part of
    it was never seen: then that counts from when the large one was written, which is too late and
    never too early.

    Attributes:
        begun: when the first appeared, in seconds since the epoch.
        seen: of each part when its writing ended, by its file's time, whenever it was looked at;
            and the least objective in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._known = folder, set[str]()
        self.begun = math.inf
        self.seen: list[tuple[float, float]] = []

    def look(self) -> None:
        """Reads what is new."""
        import pyarrow.parquet as pq

        for path in sorted(self._folder.glob("[!.]*.parquet")):
            if path.name in self._known:
                continue
            try:
                appeared = path.stat().st_mtime
                values = pq.read_table(path, columns=[OBJECTIVE])[OBJECTIVE].to_pylist()
            except FileNotFoundError:  # at the end the parts become few
                continue
            self._known.add(path.name)
            self.begun = min(self.begun, appeared)
            finite = [value for value in values if value is not None and math.isfinite(value)]
            self.seen.append((appeared, min(finite, default=math.inf)))


def improvements(seen: Iterable[tuple[float, float]], began_at: float) -> list[list[float]]:
    """Seconds since the start and value, each time that the best of all so far was beaten."""
    best, curve = math.inf, []
    for at, value in sorted(seen):
        if value < best:
            best = value
            curve.append([round(at - began_at, 2), round(value, 4)])
    return curve


def _values(
    search: Search,
    done: Finished,
    begun: float,
    seen: list[tuple[float, float]],
    trained_steps: int,
) -> dict[str, Any]:
    """What the results keep of a search.

    `wall_s` is from the start of the command to its end; `begin_s` from its start to the first
    trial's; `trained_steps` are of all trials; `improvements` as the function of that name gives.
    """
    return {
        "trials": search.trials,
        "steps": search.steps,
        "eval_every": search.eval_every,
        "eval_images": search.eval_images,
        "wall_s": round(done.wall_s, 2),
        "begin_s": round(begun - done.began_at, 2),
        "trained_steps": trained_steps,
        "peak_mib": round(done.peak_bytes / 2**20),
        "improvements": improvements(seen, done.began_at),
    }


def _trained_steps(sweep: Path) -> int:
    import pyarrow.parquet as pq

    steps: list[int] = pq.read_table(sweep / "trials", columns=["steps"])["steps"].to_pylist()
    return sum(steps)


def _variables() -> dict[str, str]:
    return {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
