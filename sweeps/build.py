"""What of gansweep and torch a process would run, so that two machines can be compared."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, fields
from pathlib import Path

from sweeps.import_path import PACKAGES
from sweeps.versions import versions

__all__ = ["Build", "this_build"]

_HOME = Path(__file__).resolve().parents[1]
_SHOWN = 8  # characters of a hash


@dataclass(frozen=True, kw_only=True)
class Build:
    """What must be the same on all nodes for a trial to be the same on each.

    To rounding: processors, and compilers of `gan_core.kernels`, may differ.
    """

    gansweep: str
    """Version, and a hash of the packages' files: a checkout changes without its version."""
    torch: str
    """Without the local part, which says for which device it was built."""
    python: str
    """Major and minor."""

    def difference(self, other: Build) -> str | None:
        """What differs first, the other's named as "here"; None if nothing does."""
        for field in fields(self):
            there, here = getattr(self, field.name), getattr(other, field.name)
            if there != here:
                return f"{field.name} is {there} there and {here} here"
        return None


def this_build() -> Build:
    """Of this process. Imports neither torch nor ray."""
    known = versions()
    major, minor, _ = platform.python_version_tuple()
    return Build(
        gansweep=f"{known['gansweep']} ({_hash_of_packages()[:_SHOWN]})",
        torch=known["torch"].partition("+")[0],
        python=f"{major}.{minor}",
    )


def _hash_of_packages() -> str:
    """Of the names and contents of all files that a package ships."""
    total = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((_HOME / package).rglob("*")):
            # What is built of sources that are told, by whatever compiler a node has.
            is_built = "__pycache__" in path.parts or path.suffix == ".so"
            if path.is_file() and not is_built:
                total.update(f"{path.relative_to(_HOME)}\0".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
