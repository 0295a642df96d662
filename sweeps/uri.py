"""URIs of storages and sweeps: taken apart, put together, and shown without their secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from gan_core.config import ConfigError

__all__ = [
    "as_location",
    "check_storage",
    "child",
    "is_uri",
    "last_part",
    "parent",
    "secrets_of",
    "shown",
    "without_secrets",
]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_ODD = re.compile(r"[\x00-\x1f\x7f\\]")

# What may stand in a query and is no secret; anything else is taken for one.
_PLAIN_OPTIONS = (
    "allow_bucket_creation",
    "allow_delayed_open",
    "endpoint_override",
    "force_virtual_addressing",
    "region",
    "retry_limit_seconds",
    "scheme",
)


def is_uri(place: str | os.PathLike[str]) -> bool:
    """Whether it is no path."""
    return "://" in os.fspath(place)


def check_storage(given: str) -> str:
    """The storage, if it can be one: a directory, or a URI below which nothing leads out of it.

    One given as `file:///...` is a directory from then on.

    Raises:
        ConfigError: `storage` cannot be that; what is shown of it holds no secret.
    """
    if not given:
        raise ConfigError("storage", given, "must be a directory, or a URI like s3://bucket/prefix")
    if not is_uri(given):
        return given
    scheme, _, server, path, _ = _parts(given)
    if scheme != "file" and not server:
        right = "must name a bucket, like s3://bucket/prefix"
        raise ConfigError("storage", shown(given), right)
    # What is decoded twice somewhere on the way must not lead out either.
    plain = unquote(unquote(f"{server}/{path}" if path else server))
    raw = unquote(unquote(given.partition("://")[2].partition("?")[0]))
    leads_out = {".", ".."} & {*plain.split("/")} or "//" in raw
    if not _SCHEME.fullmatch(scheme) or _ODD.search(plain) or leads_out:
        right = "must be a URI like s3://bucket/prefix, without '.', '..', '//' and backslashes"
        raise ConfigError("storage", shown(given), right)
    return given if scheme != "file" else as_location(given)


def as_location(given: str | os.PathLike[str]) -> str:
    """A path as it is, also one given as `file:///...`; another URI without a slash at its end."""
    text = os.fspath(given)
    if not is_uri(text):
        return text
    scheme, user, server, path, query = _parts(text)
    if scheme == "file":
        return unquote(f"/{path}" if not server else f"/{server}/{path}")
    return _joined(scheme, user, server, path, query)


def child(storage: str, name: str) -> str:
    """The place of a sweep in a storage; of a local one with `~` put in, and absolute."""
    storage = as_location(storage)
    if not is_uri(storage):
        return str(Path(storage).expanduser().absolute() / name)
    scheme, user, server, path, query = _parts(storage)
    path = "/".join(filter(None, (path, quote(name))))
    return _joined(scheme, user, server, path, query)


def parent(place: str) -> str:
    """The storage that a sweep lies in."""
    if not is_uri(place):
        return str(Path(place).parent)
    scheme, user, server, path, query = _parts(place)
    return _joined(scheme, user, server, path.rpartition("/")[0], query)


def last_part(place: str) -> str:
    """The name of the sweep at a place."""
    if not is_uri(place):
        return Path(place).name
    _, _, server, path, _ = _parts(place)
    return unquote((path or server).rpartition("/")[2])


def shown(place: str) -> str:
    """For messages: without user, password and options."""
    if not is_uri(place):
        return place
    scheme, _, server, path, _ = _parts(place)
    return _joined(scheme, "", server, path, "")


def without_secrets(place: str) -> str:
    """To be kept, or pasted into a shell: with the options that are known to hold no secret."""
    if not is_uri(place):
        return place
    scheme, _, server, path, query = _parts(place)
    options = [
        (key, value)
        for key, value in parse_qsl(query, keep_blank_values=True)
        if key in _PLAIN_OPTIONS and "@" not in value
    ]
    return _joined(scheme, "", server, path, urlencode(options, safe="/:"))


def secrets_of(place: str) -> set[str]:
    """What of a URI must be in no message: user, password and unknown options, decoded or not."""
    if not is_uri(place):
        return set()
    _, user, _, _, query = _parts(place)
    options = parse_qsl(query, keep_blank_values=True)
    found = [value for key, value in options if key not in _PLAIN_OPTIONS or "@" in value]
    found += user.split(":")
    return {form for text in found if text for form in (text, unquote(text))}


def _parts(uri: str) -> tuple[str, str, str, str, str]:
    """Scheme, user and password, server or bucket, path without slashes at its ends, query."""
    scheme, _, rest = uri.partition("://")
    rest, _, query = rest.partition("?")
    server, _, path = rest.partition("/")
    user, _, server = server.rpartition("@")
    return scheme.lower(), user, server, path.strip("/"), query


def _joined(scheme: str, user: str, server: str, path: str, query: str) -> str:
    credentials = f"{user}@" if user else ""
    whole = "/".join(filter(None, (f"{credentials}{server}", path)))
    return f"{scheme}://{whole}{f'?{query}' if query else ''}"
