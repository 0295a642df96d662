"""Who may ask for what: tokens, the cookie made of one, and whose page a request comes from."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from gan_core.config import ConfigError
from sweeps.naming import check_name
from sweeps.service.refusals import Refusal
from sweeps.service.settings import ServiceSettings

__all__ = ["OWN_HEADER", "READING_METHODS", "Access", "Gate", "check_own_page", "sweep_name"]

OWN_HEADER = "x-gansweep"
"""Must come with what a page changes: another site's page cannot send it without asking first,
and is told no."""

READING_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""

_COOKIE_AGE_S = 30 * 24 * 3600


class Access(StrEnum):
    """What somebody may do."""

    VIEW = "view"
    OPERATE = "operate"


class Gate:
    """Knows the tokens and the names that a service goes by.

    A token is compared in a time that does not depend on how much of it is right. The cookie holds
    no token but a keyed hash of it, and its name is another for every service, since a browser
    sends a cookie to all ports of a host.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        tokens = {settings.token: Access.OPERATE}
        if settings.view_token is not None:
            tokens[settings.view_token] = Access.VIEW
        self._bearers = {token.encode(): access for token, access in tokens.items()}
        self._cookies = {_baked(token): access for token, access in tokens.items()}
        self.cookie_name = f"gansweep-{hashlib.sha256(settings.token.encode()).hexdigest()[:8]}"
        names = ("localhost", settings.host, *settings.allowed_hosts)
        self._hosts = {name.lower().strip("[]") for name in names}

    def check_host(self, host: str) -> None:
        """Sees that a request was meant for this service.

        Raises:
            Refusal: its header `Host` has a name that is none of ours.
        """
        name = _without_port(host.lower())
        if name in self._hosts or _is_address(name):
            return
        raise Refusal(421, "Host: is no name of this service: see `gansweep serve --allow-host`")

    def of_token(self, token: str) -> Access | None:
        """What the bearer of a token may do; None if it is not one of ours."""
        return _match(self._bearers, token.encode("utf-8", "replace"))

    def of_request(self, headers: Mapping[str, str]) -> tuple[Access | None, bool]:
        """What a request may do, and whether it says so by its cookie alone.

        Args:
            headers: by names in lower case.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.of_token(token.strip()), False
        baked = _cookie(headers.get("cookie", ""), self.cookie_name)
        return _match(self._cookies, baked.encode("utf-8", "replace")), True

    def cookie(self, token: str, *, secure: bool) -> str:
        """The header `Set-Cookie` that stands for a token from now on."""
        value = _baked(token).decode()
        marks = f"Path=/; Max-Age={_COOKIE_AGE_S}; HttpOnly; SameSite=Strict"
        return f"{self.cookie_name}={value}; {marks}{'; Secure' if secure else ''}"


def check_own_page(headers: Mapping[str, str]) -> None:
    """Sees that what changes something comes from a page of ours, not from somebody else's.

    Raises:
        Refusal: it does not.
    """
    origin = headers.get("origin")
    strange = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
    site = headers.get("sec-fetch-site", "same-origin")
    if strange or site not in ("same-origin", "none") or not headers.get(OWN_HEADER):
        raise Refusal(403, "X-Gansweep: must be sent, from a page of this service, or send a token")


def sweep_name(name: str) -> str:
    """A name in the path of a page.

    Raises:
        Refusal: it cannot be a sweep's.
    """
    try:
        return check_name(name)
    except ConfigError:
        raise Refusal(404, "SWEEP: there is no sweep of such a name") from None


def _baked(token: str) -> bytes:
    return hmac.new(token.encode(), b"gansweep cookie", hashlib.sha256).hexdigest().encode()


def _match(known: Mapping[bytes, Access], given: bytes) -> Access | None:
    """Compares with all, whichever it is."""
    found = [access for one, access in known.items() if hmac.compare_digest(one, given)]
    return found[0] if found else None


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return re.sub(r":\d*$", "", host)


def _is_address(name: str) -> bool:
    """An address cannot be somebody else's name for this machine."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
