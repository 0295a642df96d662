"""Keeps Optuna from announcing on stderr what it made or found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import optuna

__all__ = ["without_chatter"]


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Lets Optuna say nothing but warnings."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
