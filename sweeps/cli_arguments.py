"""What the commands have in common: arguments, exit codes, finding a sweep."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sweeps.config import SweepConfig
from sweeps.config_file import load_config
from sweeps.naming import CONFIG_NAME, DEFAULT_STORAGE, list_sweeps

__all__ = [
    "CLUSTER",
    "DEFAULT_STORAGE",
    "DONE",
    "INTERRUPTED",
    "MISTAKE",
    "OURS",
    "RESULTS",
    "SWEEP",
    "Seed",
    "Storage",
    "Sweep",
    "Trial",
    "known_sweeps",
    "out_console",
    "stored",
]

DONE, OURS, MISTAKE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

SWEEP, RESULTS, CLUSTER = "Sweep", "Results", "Cluster"
"""Headings of the commands in the help."""


def known_sweeps(context: typer.Context, incomplete: str) -> list[str]:
    """Names of sweeps that a shell may complete to."""
    storage = context.params.get("storage") or DEFAULT_STORAGE
    names = list_sweeps(Path(storage).expanduser())
    return [name for name in names if name.startswith(incomplete)]


Sweep = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP", help="A sweep's name, or its directory.", autocompletion=known_sweeps
    ),
]
Storage = Annotated[
    str, typer.Option("--storage", metavar="DIR", help="Where SWEEP is looked for by name.")
]
Trial = Annotated[str, typer.Argument(metavar="TRIAL", help='A number, or "best".')]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="S", help="Of the trial; without it, its best.")
]


def stored(
    directory: Path, options: Mapping[str, Any] | None = None, *, check_files: bool = False
) -> SweepConfig:
    """The config in a sweep's directory, with these values instead; see `load_config`."""
    return load_config(directory / CONFIG_NAME, options=options, check_files=check_files)


def out_console() -> Console:
    """Standard output for tables."""
    # What is piped into a file has no width of its own: 120 leaves the tables in one piece.
    return Console(width=None if sys.stdout.isatty() else 120)
