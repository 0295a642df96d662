"""Results of a sweep elsewhere, brought here as a directory that fetching again may replace."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from gan_core.config import ConfigError
from sweeps.mistakes import SweepFailure
from sweeps.naming import CONFIG_NAME, check_name

__all__ = ["place_for", "put_whole"]

_MARK = ".fetched"  # in a directory that may be replaced by fetching again


def place_for(name: str, out: Path) -> Path:
    """The directory that a sweep will have.

    Args:
        name: of the sweep.
        out: where its directory is to be.

    Raises:
        ConfigError: it is no name, or a sweep of that name lies there that was not fetched.
    """
    target = out.expanduser().absolute() / check_name(name, "SWEEP")
    if target.exists() and not (target / _MARK).exists():
        right = "holds a sweep of that name that was not fetched: another --out"
        raise ConfigError("--out", str(out), right)
    return target


def put_whole(target: Path, source: str, deliver: Callable[[Path], None]) -> None:
    """Puts a sweep in its place once all of it is here, instead of what was fetched before.

    Args:
        target: from `place_for`.
        source: where it comes from, to be written down.
        deliver: puts its files into an empty directory.

    Raises:
        SweepFailure: what was delivered is no sweep; what was there still is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as temporary:
        arrived = Path(temporary) / target.name
        arrived.mkdir()
        deliver(arrived)
        if not (arrived / CONFIG_NAME).is_file():
            raise SweepFailure(f"{target.name} has no results yet")
        (arrived / _MARK).write_text(f"{source}\n")
        if target.exists():
            shutil.move(target, Path(temporary) / "before")
        arrived.rename(target)
