"""Which modules a process finds: our packages first, whatever lies in the user's directory.

`analysis` and `sweeps` are names that a user's own file may bear too, and Ray puts the driver's
current directory at the front of every worker's `sys.path`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import site
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = ["PACKAGES", "append_user_directory", "pin_packages", "settle_worker", "worker_variables"]

PACKAGES = ("sweeps", "gan_core", "analysis")
"""The packages that lie beside each other and belong together."""

_HOME = Path(__file__).resolve().parents[1]
_DRIVER_PATH = "GANSWEEP_DRIVER_PATH"


class _OwnPackages(MetaPathFinder):
    """Finds `PACKAGES` in the directory that this module came from, and nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in PACKAGES:
            return None
        folder = _HOME / name
        return importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def pin_packages() -> None:
    """Let `PACKAGES` come from where this module came from, whatever `sys.path` says.

    Imports nothing; may be called again.

    Raises:
        ImportError: Another module of such a name has been imported already.
    """
    for name in PACKAGES:
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is not None and Path(origin).resolve().parent != _HOME / name:
            raise ImportError(
                f"{origin} was imported as {name!r}, which is the name of a package of gansweep: "
                "rename that file"
            )
    if not any(isinstance(finder, _OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OwnPackages())


def append_user_directory() -> None:
    """Let modules in the current directory be found, after everything that is installed."""
    _append([str(Path.cwd())])


def worker_variables() -> dict[str, str]:
    """Environment variables with which `settle_worker` can run in a worker of this driver."""
    driver_path = [str(Path(entry).absolute()) for entry in sys.path]
    variables = {_DRIVER_PATH: json.dumps([*driver_path, str(Path.cwd())])}
    if str(_HOME) not in {*site.getsitepackages(), site.getusersitepackages()}:
        # A checkout: the worker has to find this module before it can be told where to look.
        # What is installed is found anyway, and must not come before the standard library.
        inherited = os.environ.get("PYTHONPATH")
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_HOME), inherited]))
    return variables


def settle_worker() -> None:
    """Let a worker find what its driver finds: Ray calls it as each worker process starts.

    Our packages are pinned; of the driver's `sys.path`, and its current directory, what the
    worker lacks goes to the end of its own.
    """
    pin_packages()
    _append(json.loads(os.environ.get(_DRIVER_PATH, "[]")))


def _append(entries: Sequence[str]) -> None:
    for entry in entries:
        if entry not in sys.path:
            sys.path.append(entry)
