"""A wrong value in a sweep's config, as one line that says where it stands and what is right."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gan_core.config import ConfigError

__all__ = [
    "SweepConfigError",
    "SweepFailure",
    "did_you_mean",
    "first_mistake",
    "last_line",
    "line_of",
    "shown",
]

_SHOWN_CHARACTERS = 240  # a path must be whole

# What would be right, by pydantic's kind of error; values in braces come from its context.
_RIGHT = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text in quotes",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
}


class SweepFailure(Exception):  # noqa: N818 what fails is a sweep, by many errors
    """What ends a sweep and is no mistake of the user's; the message is one line."""


class SweepConfigError(ConfigError):
    """A `ConfigError` that knows its place: `sweep.toml:12: train.steps = 0: must be >= 1`."""

    def __init__(self, key: str, value: object, right: str, place: str | None = None) -> None:
        super().__init__(key, value, right)
        self.place = place

    def __str__(self) -> str:
        """One line, whatever the value holds."""
        place = f"{self.place}: " if self.place else ""
        return f"{place}{self.key} = {shown(self.value)}: {self.right}"


def shown(value: object) -> str:
    """A value in one short line, nearly as TOML has it."""
    if value is None:
        return "(not given)"
    if isinstance(value, float):
        return repr(value)
    text = json.dumps(value, default=str, ensure_ascii=False)
    half = _SHOWN_CHARACTERS // 2
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known words, led by the one that was probably meant."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    guess = f'did you mean "{close[0]}"? ' if close else ""
    return f"{guess}known: {', '.join(known)}"


def last_line(text: object) -> str:
    """What a text says last; of an error from another process what went wrong, below its traceback.

    Empty if the text is blank.
    """
    return next((line.strip() for line in reversed(str(text).splitlines()) if line.strip()), "")


def first_mistake(error: ValidationError, model: type[BaseModel]) -> SweepConfigError:
    """The first of pydantic's findings as a `SweepConfigError`.

    Args:
        error: what validation raised.
        model: what was validated, for the names of its keys.
    """
    found = error.errors(include_url=False)[0]
    cause = found.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return SweepConfigError(cause.key, cause.value, cause.right)
    key = ".".join(str(part) for part in found["loc"])
    if found["type"] == "missing":  # whose input is all that is there
        return SweepConfigError(key, None, "must be given")
    if found["type"] == "extra_forbidden":
        right = _unknown_key(found, model)
    elif isinstance(cause, ValueError):
        right = str(cause)
    else:
        right = _RIGHT.get(found["type"], found["msg"]).format(**found.get("ctx", {}))
    return SweepConfigError(key, found["input"], right)


def _unknown_key(found: ErrorDetails, model: type[BaseModel]) -> str:
    word, sections = str(found["loc"][-1]), _sections(model)
    for name, section in sections.items():
        if len(found["loc"]) == 1 and word in section.model_fields:
            return f"there is no such key here: it belongs under [{name}]"
    here = sections.get(str(found["loc"][0]), model)
    return f"there is no such key; {did_you_mean(word, here.model_fields)}"


def _sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    inner = {name: field.annotation for name, field in model.model_fields.items()}
    return {n: a for n, a in inner.items() if isinstance(a, type) and issubclass(a, BaseModel)}


_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w.\"'-]+)\s*=")


def line_of(text: str, key: str) -> int | None:
    """The line of a TOML text, from 1, where `key` or the nearest table that holds it stands.

    A scan for the error message, no parser: a multi-line string could mislead it by a line.

    Args:
        text: the TOML.
        key: dotted, with indices for arrays of tables, like `search.baseline.0.lr_g`.
    """
    wanted = key.split(".")
    table: list[str] = []
    counts: dict[str, int] = {}
    best, best_length = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                index = counts[header[2]] = counts.get(header[2], -1) + 1
                table.append(str(index))
            path = table
        elif entry := _KEY.match(line):
            path = table + _parts(entry[1])
        else:
            continue
        if len(path) > best_length and path == wanted[: len(path)]:
            best, best_length = number, len(path)
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
