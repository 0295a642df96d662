"""What a service is started with."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from gan_core.config import ConfigError
from sweeps.import_path import PACKAGES

__all__ = [
    "LARGEST_BODY_BYTES",
    "LETS_GO_S",
    "MOST_AT_A_TIME",
    "TOKEN_VARIABLE",
    "VIEW_TOKEN_VARIABLE",
    "ServiceSettings",
    "check_token",
    "is_loopback",
]

TOKEN_VARIABLE, VIEW_TOKEN_VARIABLE = "GANSWEEP_TOKEN", "GANSWEEP_VIEW_TOKEN"
"""Environment variables with tokens of a user's own."""

LARGEST_BODY_BYTES = 1 << 20
"""Of a request; a config has a few kilobytes."""

MOST_AT_A_TIME = 1000
"""Requests that are answered at once; who watches holds one open."""

LETS_GO_S = 3
"""Seconds that requests get when the service ends; streams would be waited for."""

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,256}")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """How a service is reached, by whom, and what it may be asked for."""

    storage: Path
    """Directory that holds the sweeps, absolute; nothing outside it is written."""
    token: str = field(repr=False)
    """Of those who may do everything."""
    view_token: str | None = field(default=None, repr=False)
    """Of those who may only look."""
    host: str = "127.0.0.1"
    """Address that it listens on."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that it may be asked by, besides addresses and `localhost`: others are refused, so
    that no page of somebody else's can reach it under a name of its own (DNS rebinding)."""
    allowed_paths: tuple[Path, ...] = ()
    """Directories that a submitted config may name, with all in them."""
    allowed_factories: tuple[str, ...] = ()
    """Architectures `package.module:factory` that a submitted config may name."""

    def __post_init__(self) -> None:
        check_token(self.token, "token")
        if self.view_token is not None:
            check_token(self.view_token, "view token")
            if self.view_token == self.token:
                raise ConfigError("view token", "...", "must be another than the token")
        for factory in self.allowed_factories:
            if not _FACTORY.fullmatch(factory) or factory.split(".")[0] in PACKAGES:
                raise ConfigError("--allow-factory", factory, "must be package.module:factory")


def check_token(token: str, key: str) -> None:
    """Sees that a token can be one; it is never shown.

    Raises:
        ConfigError: it is short, or could not stand in a URL.
    """
    if not _TOKEN.fullmatch(token):
        raise ConfigError(key, "...", "must be 16 to 256 of A-Z, a-z, 0-9, '.', '_', '~', '-'")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
