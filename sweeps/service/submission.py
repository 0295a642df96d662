"""What a request may begin: the same config as ever, less what only the operator may choose."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from gan_core.config import Architecture, ConfigError
from sweeps.config import SweepConfig, parse_config
from sweeps.config_file import check_files_of
from sweeps.mistakes import SweepConfigError, line_of
from sweeps.naming import DEFAULT_STORAGE
from sweeps.service.refusals import Refusal
from sweeps.service.settings import ServiceSettings
from sweeps.uri import shown

__all__ = ["JSON", "TOML", "read_submission"]

JSON = "application/json"
TOML = "application/toml"
_TEXT = "text/plain"

_STUDY_HERE = "journal"


def read_submission(body: bytes, content_type: str, settings: ServiceSettings) -> SweepConfig:
    """The config in the body of a request, as it would run: in the service's own storage.

    Args:
        body: TOML, or JSON of the same.
        content_type: says which.
        settings: of the service: what the operator allows.

    Raises:
        SweepConfigError: one line that names the key; the line, too, if it is TOML.
        Refusal: it is neither TOML nor JSON.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (JSON, TOML, _TEXT):
        raise Refusal(415, f"Content-Type: must be {TOML} or {JSON}")
    text = _text(body)
    document = _json(text) if kind == JSON else _toml(text)
    try:
        _check_whole_numbers(document)
        _refuse_what_is_the_operators(document)
        config = _parsed(document)
        _check_allowed(config, document, settings)
        here = config.model_copy(update={"storage": str(settings.storage)})
        check_files_of(here)
    except ConfigError as error:
        line = None if kind == JSON else line_of(text, error.key)
        place = f"line {line}" if line else None
        raise SweepConfigError(error.key, error.value, error.right, place) from None
    return here


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(400, "body: must be UTF-8") from None


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"body: is no TOML: {error}") from None


def _json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"body: is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refusal(400, "body: must be an object, as the TOML is a table")
    return document


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _parsed(document: Mapping[str, Any]) -> SweepConfig:
    try:
        return parse_config(document)
    except (OverflowError, RecursionError):
        raise ConfigError("body", "...", "holds a number or a nesting that is too large") from None


def _check_whole_numbers(value: Any, key: str = "") -> None:
    """TOML has 64 bits for them, and so have the tables."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ConfigError(key, "...", "is too large a number")
    for name, each in inner:
        _check_whole_numbers(each, f"{key}.{name}" if key else f"{name}")


def _refuse_what_is_the_operators(document: Mapping[str, Any]) -> None:
    """Where results and proposals are kept is settled by who began the service."""
    storage = document.get("storage", DEFAULT_STORAGE)
    if storage != DEFAULT_STORAGE:
        right = "is not chosen over HTTP: the service has a storage of its own; leave it out"
        # It may hold a password, too.
        raise ConfigError("storage", shown(storage) if isinstance(storage, str) else "...", right)
    if document.get("study", _STUDY_HERE) != _STUDY_HERE:
        right = "is not chosen over HTTP: leave it out"
        raise ConfigError("study", "...", right)  # it may hold a password


def _check_allowed(
    config: SweepConfig, document: Mapping[str, Any], settings: ServiceSettings
) -> None:
    architecture, root = config.model.architecture, config.data.root
    if architecture not in [*Architecture, *settings.allowed_factories]:
        right = (
            "code of your own is not run over HTTP unless the operator allows it by name: "
            "gansweep serve --allow-factory"
        )
        raise ConfigError("model.architecture", architecture, right)
    if root is None:
        return
    place = Path(root).resolve()
    if not any(place.is_relative_to(path.resolve()) for path in settings.allowed_paths):
        right = (
            "local paths are not read over HTTP unless the operator allows them: "
            "gansweep serve --allow-path"
        )
        raise ConfigError("data.root", document["data"]["root"], right)
