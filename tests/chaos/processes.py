"""The processes of a cluster that a test began, by descent, and a way to kill them."""

import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["descendants", "kill", "titled"]


def descendants(root: int) -> list[int]:
    """All that this process began, and what those began, in order of their ids."""
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold blanks and brackets.
            after = path.read_text().rpartition(")")[2].split()
            children[int(after[1])].append(int(path.parent.name))
    found, left = [], [root]
    while left:
        own = children[left.pop()]
        found += own
        left += own
    return sorted(found)


def titled(processes: Iterable[int], *words: str) -> list[int]:
    """Those with all these words in their command line, which Ray sets to what they run."""
    return [pid for pid in processes if all(word in _command(pid) for word in words)]


def kill(processes: Iterable[int]) -> None:
    """Ends them at once, none of them being told."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_text()
    return ""
