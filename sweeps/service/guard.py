"""What every request passes before anything else sees it, and every answer on its way out."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from sweeps.service.access import READING_METHODS, Access, Gate, check_own_page
from sweeps.service.refusals import Refusal
from sweeps.service.settings import LARGEST_BODY_BYTES, ServiceSettings

__all__ = ["POLICY", "Guard"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of a page that does not bring its own: nothing inline, nothing from
anywhere else."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_MOST_DRAINED_BYTES = 8 * LARGEST_BODY_BYTES
"""Who still sends does not read the answer, so that somewhat too much is taken to its end."""
_PUBLIC = ("/static/", "/favicon.ico")
"""Files of the package, for the page that asks who you are."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{head}
<meta name="viewport" content="width=device-width, initial-scale=1"><title>gansweep</title></head>
<body><main><h1>gansweep</h1><p>{text}</p></main></body></html>
"""
_ASKS = "This needs the link that <code>gansweep serve</code> printed, with its token."


class Guard:
    """ASGI middleware around the whole service: hosts, tokens, origins, sizes and headers.

    Args:
        app: what is guarded; finds who asks in `request.state.access`.
        settings: of the service.
    """

    def __init__(self, app: Any, settings: ServiceSettings) -> None:
        self._app = app
        self._gate = Gate(settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers, or lets the request through."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # a socket that is not accepted is closed
        guarded = _with_headers(send)
        try:
            passed = await self._pass(scope, receive, guarded)
        except Refusal as refusal:
            await _answer(guarded, scope, refusal.status, refusal.message)
            return
        if passed is not None:
            await self._app(scope, passed, guarded)

    async def _pass(self, scope: Any, receive: Any, send: Any) -> Any:
        """What the body is to be read from; None if all was answered.

        Raises:
            Refusal: the request may not pass.
        """
        headers = dict(_decoded(scope["headers"]))
        self._gate.check_host(headers.get("host", ""))
        path, method = scope["path"], scope["method"]
        if path.startswith(_PUBLIC) and method in READING_METHODS:
            return receive
        if await self._signed_in(scope, send):
            return None
        access, by_cookie = self._gate.of_request(headers)
        if access is None:
            raise Refusal(401, "Authorization: a token of this service must be given")
        if method not in READING_METHODS:
            if by_cookie:
                check_own_page(headers)
            if access is not Access.OPERATE:
                raise Refusal(403, "Authorization: this token may only look")
        scope.setdefault("state", {})["access"] = access
        return await _whole(receive, headers)

    async def _signed_in(self, scope: Any, send: Any) -> bool:
        """Takes a token out of the address of a page and gives a cookie for it."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = next((value for name, value in query if name == "token"), None)
        if token is None or scope["method"] != "GET" or scope["path"].startswith("/api/"):
            return False
        if self._gate.of_token(token) is None:
            raise Refusal(401, "token: is none of this service")
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        # One slash: two would name another host.
        clean = "/" + quote(scope["path"].lstrip("/")) + (f"?{rest}" if rest else "")
        # A page that goes on, and no redirect: a browser that came from a link elsewhere would not
        # send a strict cookie after one.
        head = f'<meta http-equiv="refresh" content="0; url={html.escape(clean)}">'
        text = f'<a href="{html.escape(clean)}">Go on</a>'
        cookie = self._gate.cookie(token, secure=scope.get("scheme") == "https")
        page = _PAGE.format(head=head, text=text).encode()
        await _send(send, 200, "text/html; charset=utf-8", page, {"set-cookie": cookie})
        return True


async def _whole(receive: Any, headers: dict[str, str]) -> Any:
    """The body, read before anything is done; None if it does not come to its end.

    Raises:
        Refusal: it is too large.
    """
    told = headers.get("content-length", "")
    if told.isdecimal() and int(told) > LARGEST_BODY_BYTES:
        raise _too_large()
    body, more = bytearray(), True
    if "content-length" not in headers and "transfer-encoding" not in headers:
        return receive  # there is none
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None  # whoever asked has gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _MOST_DRAINED_BYTES:
            raise _too_large()
    if len(body) > LARGEST_BODY_BYTES:
        raise _too_large()
    messages = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def next_message() -> Any:
        return messages.pop() if messages else await receive()  # like a hang-up

    return next_message


def _too_large() -> Refusal:
    return Refusal(413, f"body: must be at most {LARGEST_BODY_BYTES >> 20} MiB")


def _with_headers(send: Any) -> Any:
    """Adds the headers that the answer does not have."""

    async def guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            names = {name.lower() for name, _ in given}
            missing = ((n.encode(), v.encode()) for n, v in _HEADERS.items())
            added = [(name, value) for name, value in missing if name not in names]
            message = message | {"headers": [*given, *added]}
        await send(message)

    return guarded


async def _answer(send: Any, scope: Any, status: int, message: str) -> None:
    """JSON for programs, a small page for people."""
    more = {"www-authenticate": "Bearer"} if status == 401 else {}
    if status == 401 and not scope["path"].startswith("/api/"):
        page = _PAGE.format(head="", text=_ASKS).encode()
        await _send(send, status, "text/html; charset=utf-8", page, more)
        return
    content = json.dumps({"error": message}).encode()
    await _send(send, status, "application/json", content, more | {"connection": "close"})


async def _send(
    send: Any, status: int, media_type: str, content: bytes, more: dict[str, str]
) -> None:
    headers = {"content-type": media_type, "content-length": str(len(content))} | more
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content})


def _decoded(headers: Any) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        yield name.decode("latin-1").lower(), value.decode("latin-1")
