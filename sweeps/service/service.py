"""The parts of a running service, as its requests find them."""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable

from fastapi import Request, Response

from sweeps.service.access import Access
from sweeps.service.actions import Actions
from sweeps.service.answers import Answers, matches
from sweeps.service.events import Stream
from sweeps.service.launching import Launcher
from sweeps.service.reader import Reader
from sweeps.service.settings import ServiceSettings
from sweeps.service.sweeps_index import SweepsIndex

__all__ = ["Service", "may_operate", "service_of"]

_MOST_LIVE = 1000
_SHOWN_S = 10.0


class Service:
    """What answers requests.

    Args:
        settings: what it was started with.
        launcher: what sweeps run on.
    """

    def __init__(self, settings: ServiceSettings, launcher: Launcher) -> None:
        self.settings = settings
        self.launcher = launcher
        self.index = SweepsIndex(settings.storage, launcher)
        self.answers = Answers(self.index, Reader())
        self.actions = Actions(self.index, launcher)
        self.stream = Stream(self.index)
        self._live: dict[str, tuple[int, str, bytes]] = {}
        self._shown: dict[str, tuple[int, float, str]] = {}

    @property
    def can_start(self) -> bool:
        """Whether sweeps can be begun."""
        return self.launcher.can_start

    def live(self, request: Request, what: str, content: Callable[[], str]) -> Response:
        """JSON about states, made once for all who ask before one of them changes.

        Args:
            request: what may have the last one already.
            what: it is of.
            content: makes it.
        """
        revision = self.index.revision
        if what not in self._live or self._live[what][0] != revision:
            text = content().encode()
            tag = f'"{hashlib.sha256(text).hexdigest()[:24]}"'
            if len(self._live) > _MOST_LIVE:
                self._live.clear()
            self._live[what] = (revision, tag, gzip.compress(text, 1))
        _, tag, packed = self._live[what]
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
        if matches(request, tag):
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(gzip.decompress(packed), media_type="application/json", headers=headers)
        headers["Content-Encoding"] = "gzip"
        return Response(packed, media_type="application/json", headers=headers)

    def shown(self, what: str, make: Callable[[], str]) -> str:
        """Text about states, made once for all who look before one of them changes.

        It says how long ago things were, so that it is made anew now and then all the same.

        Args:
            what: it is of.
            make: makes it.
        """
        known, now = self._shown.get(what), time.monotonic()
        if known is None or known[0] != self.index.revision or now - known[1] > _SHOWN_S:
            if len(self._shown) > _MOST_LIVE:
                self._shown.clear()
            known = self._shown[what] = (self.index.revision, now, make())
        return known[2]

    def close(self) -> None:
        """Ends its threads and its reader; sweeps go on."""
        self.stream.close()
        self.answers.close()
        self.index.close()


def service_of(request: Request) -> Service:
    """The service that a request is answered by."""
    found: Service = request.app.state.service
    return found


def may_operate(request: Request) -> bool:
    """Whether who asks may do more than look."""
    return bool(request.scope["state"]["access"] is Access.OPERATE)
