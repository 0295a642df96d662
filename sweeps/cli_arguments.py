"""What the commands have in common: arguments, exit codes, finding a sweep."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gan_core.config import ConfigError
from sweeps.config import SweepConfig
from sweeps.config_file import config_of
from sweeps.finding import list_sweeps
from sweeps.naming import CONFIG_NAME, DEFAULT_STORAGE
from sweeps.uri import is_uri

if TYPE_CHECKING:
    from sweeps.store import Store

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
    names = [] if is_uri(storage) else list_sweeps(storage)  # nobody waits for a completion
    return [name for name in names if name.startswith(incomplete)]


Sweep = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP",
        help="A sweep's name, or its directory or URI.",
        autocompletion=known_sweeps,
    ),
]
Storage = Annotated[
    str, typer.Option("--storage", metavar="DIR|URI", help="Where SWEEP is looked for by name.")
]
Trial = Annotated[str, typer.Argument(metavar="TRIAL", help='A number, or "best".')]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="S", help="Of the trial; without it, its best.")
]


def stored(
    store: Store, options: Mapping[str, Any] | None = None, *, check_files: bool = False
) -> SweepConfig:
    """The config of a sweep, with these values instead; see `sweeps.config_file.load_config`."""
    text, source = store.read_config(), f"{store.location}/{CONFIG_NAME}"
    if text is None:
        raise ConfigError("CONFIG", source, "there is no such file")
    return config_of(text, source, options=options, check_files=check_files)


def out_console() -> Console:
    """Standard output for tables."""
    # What is piped into a file has no width of its own: 120 leaves the tables in one piece.
    return Console(width=None if sys.stdout.isatty() else 120)
