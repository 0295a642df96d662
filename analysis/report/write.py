"""Writes the report of a sweep, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from analysis.load import Sweep, Sweeps, load
from analysis.location import Location, locate, plain_errors
from analysis.report.page import render
from analysis.report.tables import gather

__all__ = ["REPORT", "one_sweep", "write_report"]

REPORT = "report.html"


def write_report(
    sweep: Sweep | str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    refresh_s: int | None = None,
) -> Path | str:
    """Writes one self-contained HTML file, which needs no network.

    A reader never sees half of it: it is written under a temporary name and renamed, or, where
    the sweep is at a URI, put at once.

    Args:
        sweep: from `analysis.load`, or the sweep's directory or URI.
        out: file to write; `report.html` in the sweep's directory (or under its URI) if None.
        refresh_s: the open page loads itself anew so often, keeping its place; never if None.

    Returns:
        Where it is: a path, or the URI if the sweep has one and `out` is None.

    Raises:
        FileNotFoundError: there is no sweep.
        PermissionError, ConnectionError: the storage refuses to answer, or does not answer.
        ValueError: `refresh_s` is not positive, there are several sweeps, or one was loaded with
            `columns=`.
    """
    if refresh_s is not None and refresh_s <= 0:
        raise ValueError(f"refresh_s = {refresh_s}: must be > 0, or None for never")
    loaded = one_sweep(sweep)
    made_at = datetime.now(UTC).astimezone()
    content = render(gather(loaded), made_at=made_at, refresh_s=refresh_s).encode()
    if out is None and "://" in loaded.path:
        return _put(loaded.location or locate(loaded.path), content)
    return _rename(Path(loaded.path).expanduser() / REPORT if out is None else Path(out), content)


def one_sweep(sweep: Sweep | str | os.PathLike[str]) -> Sweep:
    """The sweep, loaded if it is not yet.

    Raises:
        ValueError: there are several.
    """
    if isinstance(sweep, Sweep):
        return sweep
    if isinstance(sweep, str | os.PathLike):
        return load(sweep)
    several = f"{len(sweep)} sweeps" if isinstance(sweep, Sweeps | list | tuple) else f"{sweep!r}"
    raise ValueError(
        f"{several}: must be one sweep, or its path; several are gone through one by one: "
        "for sweep in load([...])"
    )


def _rename(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp's are for their owner alone
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return file


def _put(location: Location, content: bytes) -> str:
    file = f"{location.root}/{REPORT}"
    with (
        plain_errors(location.name),
        location.filesystem.open_output_stream(file) as stream,
    ):
        stream.write(content)
    return f"{location.name}/{REPORT}"
