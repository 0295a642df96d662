"""Memory and ends of all processes that a command began, whoever their parents are by then."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import processes, proportional_bytes

__all__ = ["Finished", "marked_processes", "run_watched"]

_MARK = "GANSWEEP_BENCHMARK_RUN"
_TICK_S = 0.5
_MEMORY_EVERY_S = 2.0


@dataclass(frozen=True)
class Finished:
    """A command that ended well."""

    began_at: float
    """Seconds since the epoch."""
    wall_s: float
    peak_bytes: int
    """The greatest sum seen of the proportional set sizes of all its processes; 0 where the
    system does not tell."""


def run_watched(
    command: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    environment: dict[str, str],
    on_tick: Callable[[], None] = lambda: None,
    limit_s: float = 3600,
) -> Finished:
    """Runs a command to its end, and ends whatever it leaves behind.

    Args:
        command: what to run.
        cwd: where.
        log: gets what it prints.
        environment: on top of this process's own.
        on_tick: called about twice a second meanwhile.
        limit_s: after which it is ended.

    Raises:
        RuntimeError: it failed or took too long; with the end of what it printed.
    """
    mark = f"{os.getpid()}-{time.time_ns()}"
    variables = os.environ | environment | {_MARK: mark}
    began_at, peak, due = time.time(), 0, 0.0
    with log.open("w") as printed:
        child = subprocess.Popen(
            command, cwd=cwd, env=variables, stdout=printed, stderr=subprocess.STDOUT
        )
        try:
            while child.poll() is None and time.time() < began_at + limit_s:
                if time.monotonic() >= due:
                    peak = max(peak, sum(map(proportional_bytes, marked_processes(mark))))
                    due = time.monotonic() + _MEMORY_EVERY_S
                on_tick()
                _wait(child)
            wall = time.time() - began_at
        finally:
            _end(mark, child)
    if child.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"{' '.join(command[:4])}: exit code {child.returncode}\n{tail}")
    return Finished(began_at, wall, peak)


def marked_processes(mark: str) -> list[int]:
    """Ids of this user's processes that were begun with the mark, and what those began."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for process in processes():
        try:
            if wanted in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
                found.append(process)
        except OSError:  # another user's, or gone
            continue
    return found


def _wait(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(_TICK_S)
    except subprocess.TimeoutExpired:
        return


def _end(mark: str, child: subprocess.Popen[bytes]) -> None:
    """Ends what is left; Ray's agents outlive it by a while."""
    for process in marked_processes(mark):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    child.wait()
