"""Whether a long sweep's processes grow: `python -m benchmarks.soak [--trials N] [--out FOLDER]`.

Runs 2,000 short trials of tiny networks on this machine, as `gansweep run` does, looks at the
memory of every process of the sweep each second, and says of each whether it is flat after the
first 200 trials. Writes `soak.json`, with the table, and `soak.svg`.

A process is flat if its anonymous memory, which is what it has allocated for itself and not given
back, grows by less than `LIMIT_MIB` per 1,000 trials. That is above what the slope of one that does
not grow comes to by chance, which is in the table as its standard error, and far below what a leak
of one array per trial would be. The owner of the study is held to `OWNER_LIMIT_MIB`: it has the
study in memory, which grows with every trial. What a process takes once the last trial has ended,
when the driver sums the sweep up, is told apart.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import anonymous_bytes, descendants, sweeps_environment, title
from benchmarks.session import Session

__all__ = ["LIMIT_MIB", "OWNER_LIMIT_MIB", "Series", "judged", "measure", "plot", "slope"]

LIMIT_MIB = 5.0
OWNER_LIMIT_MIB = 10.0
_SETTLED_TRIALS = 200
_EVERY_S = 1.0
_BLOCKS = 18  # that the samples are averaged in; neighbours are not independent of each other

_TINY = (
    "data.dataset=ring8",
    "train.steps=40",
    "train.eval_every=20",
    "train.eval_images=100",
    "train.seeds=1",
    "train.keep_weights=none",
    "model.generator_widths=[8]",
    "model.discriminator_widths=[8]",
    "space.latent_dim=4",
    "resources.workers=2",
    "resources.slots=16",
    "search.max_in_flight=32",
)
_ROLES = {
    "owner": r"^ray::.*StudyOwner",
    "worker": r"^ray::.*(Trainable|ImplicitFunc)",
    "idle worker": r"^ray::IDLE",
    "raylet": r"^\S*/raylet\b",
    "gcs": r"^\S*/gcs_server\b",
    "driver": r"-m sweeps run",
}
_OURS = ("owner", "worker", "driver")


@dataclass
class Series:
    """What one process took."""

    role: str
    process: int
    trials: list[int] = field(default_factory=list)
    """That had ended."""
    own_mib: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)


def slope(trials: Sequence[float], mib: Sequence[float]) -> tuple[float, float]:
    """MiB per 1,000 trials by least squares over means of blocks, and its standard error.

    Args:
        trials: that had ended at each sample, ascending.
        mib: the memory then.

    Returns:
        NaN for both with fewer than three blocks that differ in trials.
    """
    import numpy as np

    if len(trials) < 3:
        return float("nan"), float("nan")
    blocks = np.array_split(np.array([trials, mib], dtype=float), min(_BLOCKS, len(trials)), axis=1)
    x, y = np.array([block.mean(axis=1) for block in blocks]).T
    spread = float(((x - x.mean()) ** 2).sum())
    if len(x) < 3 or spread == 0:
        return float("nan"), float("nan")
    rise = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    left = y - y.mean() - rise * (x - x.mean())
    error = (float((left**2).sum()) / (len(x) - 2) / spread) ** 0.5
    return 1e3 * rise, 1e3 * error


def measure(trials: int, limit_s: float) -> tuple[list[Series], dict[str, Any]]:
    """Runs the sweep.

    Args:
        trials: how many.
        limit_s: after which it is stopped, and judged by what it came to.

    Returns:
        Every process's memory, and how far the sweep came.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryDirectory(prefix="gansweep-") as folder:
        changes = [f"--set={change}" for change in (*_TINY, f"search.trials={trials}")]
        command = [sys.executable, "-m", "sweeps", "run", "--name", "soak", *changes]
        log = Path(folder) / "log"
        begin = time.monotonic()
        with log.open("w") as printed:
            sweep = subprocess.Popen(
                command,
                cwd=folder,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=sweeps_environment(),
            )
        ended = _Ended(Path(folder) / "runs" / "soak" / "study.journal")
        found: dict[int, Series] = {}
        while sweep.poll() is None:
            _look(sweep.pid, ended.count(), found)
            if time.monotonic() - begin > limit_s:
                sweep.send_signal(signal.SIGINT)
                sweep.wait(120)
            time.sleep(_EVERY_S)
        if sweep.returncode not in (0, 130):
            raise RuntimeError(log.read_text()[-2000:])
        seconds, journal = time.monotonic() - begin, ended.path.stat().st_size
        return list(found.values()), {
            "trials": ended.count(),
            "seconds": seconds,
            "journal_mib": journal / 2**20,
        }


class _Ended:
    """Counts the trials that a journal says have ended, as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read, self._count = 0, 0

    def count(self) -> int:
        """Trials that have ended by now."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        self._count += len(re.findall(rb'"state":[123]\b', whole))
        return self._count


def _look(driver: int, trials: int, found: dict[int, Series]) -> None:
    """Adds what each process of the sweep takes now."""
    for process in (driver, *descendants(driver)):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        resident = re.search(r"^VmRSS:\s+(\d+) kB", status, flags=re.MULTILINE)
        if resident is None:
            continue
        role = _role(title(process))
        series = found.setdefault(process, Series(role, process))
        if series.role not in _OURS:
            series.role = role  # Ray names a process when it gets something to do
        series.trials.append(trials)
        series.rss_mib.append(int(resident[1]) / 1024)
        series.own_mib.append(anonymous_bytes(process) / 2**20)


def _role(name: str) -> str:
    for role, pattern in _ROLES.items():
        if re.search(pattern, name):
            return role
    words = [Path(word).name for word in name.split() if not word.startswith("-")]
    return " ".join(words[:2])[:40] or "unknown"


def judged(found: Sequence[Series]) -> list[dict[str, Any]]:
    """A row for each process that lived through most of the sweep."""
    rows = []
    last = max((max(series.trials) for series in found), default=0)
    for series in found:
        settled = [i for i, n in enumerate(series.trials) if _SETTLED_TRIALS <= n < last]
        if not settled or series.trials[settled[0]] > last / 2 or series.trials[-1] < last / 2:
            continue
        trials = [series.trials[i] for i in settled]
        own, rss = ([values[i] for i in settled] for values in (series.own_mib, series.rss_mib))
        rise, error = slope(trials, own)
        closing = zip(series.trials, series.own_mib, strict=True)
        limit = OWNER_LIMIT_MIB if series.role == "owner" else LIMIT_MIB
        rows.append(
            {
                "role": series.role,
                "process": series.process,
                "samples": len(settled),
                "own_mib_first": own[0],
                "own_mib_last": own[-1],
                "own_mib_closing": max((mib for n, mib in closing if n == last), default=None),
                "own_mib_per_1000_trials": rise,
                "standard_error": error,
                "rss_mib_last": rss[-1],
                "rss_mib_per_1000_trials": slope(trials, rss)[0],
                "limit": limit,
                "flat": rise < limit,
            }
        )
    return sorted(rows, key=lambda row: -row["own_mib_last"])


def plot(found: Sequence[Series], path: Path) -> None:
    """Draws the memory of each process over the trials that had ended, as SVG."""
    import altair
    import pandas as pd
    import vl_convert

    rows = [
        {
            "trials ended": trials,
            "own memory, MiB": mib,
            "process": f"{series.role} ({series.process})",
        }
        for series in found
        if len(series.trials) > _BLOCKS
        for trials, mib in zip(series.trials, series.own_mib, strict=True)
    ]
    chart = (
        altair.Chart(pd.DataFrame(rows))
        .mark_line(strokeWidth=1.5)
        .encode(x="trials ended:Q", y="own memory, MiB:Q", color="process:N")
        .properties(width=640, height=360)
    )
    path.write_text(vl_convert.vegalite_to_svg(chart.to_json()))


def main() -> None:
    """Prints the table; the exit code is 1 if a process grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--limit-s", type=float, default=3600, help="stop after so many seconds")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder")
    given = parser.parse_args()
    session = Session()
    found, sweep = measure(given.trials, given.limit_s)
    rows = judged(found)
    for row in rows:
        word = "flat" if row["flat"] else "GROWS"
        sys.stdout.write(
            f"{row['role']:24} {row['own_mib_first']:8.1f} to {row['own_mib_last']:8.1f} MiB  "
            f"{row['own_mib_per_1000_trials']:+7.2f} +- {row['standard_error']:.2f} MiB per 1,000 "
            f"trials, limit {row['limit']:.0f}: {word}; "
            f"closing {row['own_mib_closing'] or 0:.0f}\n"
        )
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "soak.json").write_text(session.told(sweep=sweep, processes=rows))
    plot(found, given.out / "soak.svg")
    sys.exit(0 if rows and all(row["flat"] for row in rows) else 1)


if __name__ == "__main__":
    main()
