"""What a sweep may be called, and how messages name it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from gan_core.config import ConfigError

__all__ = ["CONFIG_NAME", "DEFAULT_STORAGE", "can_be_name", "check_name", "command"]

CONFIG_NAME = "sweep.toml"
"""File of a sweep that holds its resolved config."""

DEFAULT_STORAGE = "runs"
"""Where sweeps lie unless something else is said."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def can_be_name(name: str) -> bool:
    """Whether a sweep may be called so: such a name neither leaves the storage nor hides in it."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str, key: str = "name") -> str:
    """The name, if it can be one.

    Raises:
        ConfigError: anything but lower-case letters, digits, `.`, `_` and `-`.
    """
    if not can_be_name(name):
        raise ConfigError(
            key,
            name,
            "must be 1 to 100 of a-z, 0-9, '.', '_', '-' and begin with a letter or digit",
        )
    return name


def command(*words: str | Path) -> str:
    """How a message shows a command, such that it can be pasted into a shell."""
    return f"`{shlex.join(['gansweep', *map(str, words)])}`"
