"""Notes when a worker of gansweep trains, judges and stores.

Python imports a module of this name as it starts, wherever it finds it: with this directory in
PYTHONPATH and a directory in GANSWEEP_STOPWATCH, every process of a sweep appends lines
"name begin end" to its own file there, in seconds since the epoch. What is not imported is not
touched. `benchmarks.overhead` adds them up.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["TIMED"]

TIMED: dict[str, dict[str, str]] = {
    "gan_core.loop": {"run_interval": "training"},
    "sweeps.judging": {
        "judge_rung": "evaluation",
        "judge_at_end": "evaluation",
        "pictures": "evaluation",
    },
    "sweeps.store": {
        "Store.write": "storage",
        "Store.write_weights": "storage",
        "Store.write_members": "storage",
    },
    "sweeps.worker": {"Worker.advance": "rung"},
}
"""By module: the functions and methods that are timed, and under which name."""

_FOLDER = os.environ.get("GANSWEEP_STOPWATCH")


def _timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        begin = time.time()
        try:
            return function(*args, **kwargs)
        finally:
            with Path(f"{_FOLDER}/{os.getpid()}").open("a") as lines:
                lines.write(f"{name} {begin:.6f} {time.time():.6f}\n")

    return run


class _Loader(importlib.abc.Loader):
    """The module's own loader, and then the timing."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        for path, name in TIMED[module.__name__].items():
            *parents, last = path.split(".")
            owner: Any = functools.reduce(getattr, parents, module)
            setattr(owner, last, _timed(getattr(owner, last), name))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what is timed as everybody else would, but with the timing's loader."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in TIMED:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        for finder in others:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


if _FOLDER:
    sys.meta_path.insert(0, _Finder())
