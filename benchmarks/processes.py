"""What Linux tells of other processes: their descendants, memory and processor time.

Of a process that has gone, or where the system has no /proc, memory and time are 0.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "anonymous_bytes",
    "cpu_seconds",
    "descendants",
    "processes",
    "proportional_bytes",
    "sweeps_environment",
    "title",
]

_PARENT, _USER_TICKS, _SYSTEM_TICKS = 1, 11, 12  # of the fields of proc(5)'s stat after the name


def sweeps_environment() -> dict[str, str]:
    """The variables of a `python -m sweeps` of this clone, wherever it is begun."""
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def processes() -> list[int]:
    """Ids of all there are."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def title(process: int) -> str:
    """Its command line, or what it calls itself, as Ray's workers do."""
    return _read(process, "cmdline").replace("\0", " ")


def descendants(process: int) -> list[int]:
    """Ids of what a process has begun, and of what those have."""
    children: dict[int, list[int]] = defaultdict(list)
    for other in processes():
        if fields := _stat(other):
            children[int(fields[_PARENT])].append(other)
    found, left = [], [process]
    while left:
        for child in children[left.pop()]:
            found.append(child)
            left.append(child)
    return found


def cpu_seconds(some: Iterable[int]) -> float:
    """Seconds of processors that some processes have used so far, in all."""
    ticks = 0
    for process in some:
        if fields := _stat(process):
            ticks += int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return ticks / os.sysconf("SC_CLK_TCK")


def proportional_bytes(process: int) -> int:
    """Proportional set size: pages that several processes share count once in all."""
    return _rolled_up(process, "Pss")


def anonymous_bytes(process: int) -> int:
    """Anonymous memory: what others share with the process, or stop sharing, does not change it."""
    return _rolled_up(process, "Anonymous")


def _rolled_up(process: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _read(process, "smaps_rollup"), flags=re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _stat(process: int) -> list[str]:
    """Fields after the name, which may have spaces and parentheses; none of one that has gone."""
    return _read(process, "stat").rpartition(")")[2].split()


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except OSError:
        return ""
