"""Changes to a config from the command line: `--set train.steps=4000`."""

from __future__ import annotations

import tomllib
from typing import Any

from gan_core.config import ConfigError

__all__ = ["REMOVED", "apply_override", "parse_override"]

REMOVED = object()
"""The value of `KEY=`: the key goes, and its default returns."""

_NEVER_REMOVED = "storage"


def parse_override(text: str) -> tuple[str, Any]:
    """The key and value of `KEY=VALUE`.

    The value is read as TOML (`0.5`, `true`, `[1, 2]`, `{ low = 1, high = 8 }`); what is none
    is text, so that `space.loss=wgan-gp` needs no quotes. No value is `REMOVED`.

    Raises:
        ConfigError: there is no `=`, or a part of the dotted key is empty.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not all(key.split(".")):
        raise ConfigError("--set", text, "must be KEY=VALUE, like train.steps=4000")
    if not value:
        # With a shell variable that is empty results would land somewhere else, unnoticed.
        return key, "" if key == _NEVER_REMOVED else REMOVED
    try:
        parsed = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):
        return key, value
    return key, parsed["value"] if parsed.keys() == {"value"} else value


def apply_override(document: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value at a dotted key of a parsed TOML, making the tables on its way.

    Raises:
        ConfigError: a part of the key on the way holds no table.
    """
    *tables, last = key.split(".")
    table: Any = document
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(key, value, f'"{part}" is no table: nothing can be set under it')
    if value is REMOVED:
        table.pop(last, None)
    else:
        table[last] = value
