"""What is computed from sweeps, kept until they change.

The event loop never computes: one other process does, one thing at a time, and what it made is kept
as bytes. While sweeps run their pages may lag behind, so that at most three hundredths of a core go
into all of them.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fastapi import Request, Response

from sweeps.service.reader import Reader, ReaderDied
from sweeps.service.reading import compute, warm
from sweeps.service.refusals import Refusal
from sweeps.service.sweeps_index import SweepsIndex
from sweeps.service.views import VIEWS
from sweeps.versions import versions

__all__ = ["Answer", "Answers", "matches"]

_LARGEST_BYTES = 64 << 20
_MOST_WAITING = 100
_WITHIN_S = 60.0
_SHARE = 0.03
"""Of the time that may go into all that somebody has an older answer to already."""
_ASKED_WITHIN_S, _MOST_WANTED = 10.0, 1000

_Key = tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Answer:
    """What a view made of some version of its sweeps."""

    content: bytes
    is_packed: bool
    """Whether `content` is compressed by gzip."""
    media_type: str
    etag: str
    made_at: float
    """Seconds of the epoch."""
    cost_s: float
    is_stale: bool = False
    """Whether the sweeps have changed since."""

    @property
    def plain(self) -> bytes:
        """The content as the view made it."""
        return gzip.decompress(self.content) if self.is_packed else self.content


class Answers:
    """What views make of sweeps.

    Args:
        index: of the sweeps.
        reader: computes.
        largest_bytes: of all that is kept.
    """

    def __init__(
        self, index: SweepsIndex, reader: Reader, *, largest_bytes: int = _LARGEST_BYTES
    ) -> None:
        self._index, self._reader, self._largest_bytes = index, reader, largest_bytes
        self._kept: OrderedDict[_Key, Answer] = OrderedDict()
        self._kept_bytes = 0
        self._under_way: dict[_Key, asyncio.Task[Answer]] = {}
        self._wanted: dict[_Key, tuple[float, str]] = {}  # when it was asked for last, its ETag
        self._renewing: set[asyncio.Task[Answer]] = set()
        self._rests_until = 0.0
        self._build = versions()["gansweep"]

    async def get(
        self,
        view: str,
        names: Sequence[str],
        params: Mapping[str, str] | None = None,
        *,
        may_be_stale: bool = True,
    ) -> Answer:
        """What a view makes of sweeps as they are now.

        Args:
            view: a key of `VIEWS`.
            names: of the sweeps.
            params: the view's own.
            may_be_stale: whether what was made of an earlier version is good enough until the
                new one is made.

        Raises:
            Refusal: there is no such sweep, it cannot be made of it, or too much is asked.
        """
        key, sweeps, is_over = await self._asked(view, names, params)
        etag = self._etag(key, sweeps)
        if may_be_stale:
            self._wanted[key] = time.monotonic(), etag
            if len(self._wanted) > _MOST_WANTED:
                self._asked_for()
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            if found.etag == etag:
                return found
            if may_be_stale:
                if is_over or self._may_renew(key):
                    self._renew(key, sweeps, at_rest=not is_over)
                return replace(found, is_stale=True)
        try:
            task = self._begin(key, sweeps, etag)
            return await asyncio.wait_for(asyncio.shield(task), _WITHIN_S)
        except TimeoutError:
            raise Refusal(503, "this takes long: ask again in a minute") from None

    async def respond(
        self,
        request: Request,
        view: str,
        names: Sequence[str],
        params: Mapping[str, str] | None = None,
        *,
        may_be_stale: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The same as an answer over HTTP: 304 without computing, to who has the last one.

        Raises:
            Refusal: as in `get`.
        """
        key, sweeps, _ = await self._asked(view, names, params)
        etag = self._etag(key, sweeps)
        more = {"Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding"}
        if matches(request, etag):
            return Response(status_code=304, headers={**more, "ETag": etag})
        answer = await self.get(view, names, params, may_be_stale=may_be_stale)
        more |= {"ETag": answer.etag, **(headers or {})}
        content = answer.content
        if answer.is_packed:
            if "gzip" in request.headers.get("accept-encoding", ""):
                more["Content-Encoding"] = "gzip"
            else:
                content = await asyncio.to_thread(gzip.decompress, content)
        return Response(content, media_type=answer.media_type, headers=more)

    def warm(self) -> None:
        """Begins the reader, so that the first answer does not wait for its imports."""
        self._reader.submit(warm)

    def close(self) -> None:
        """Ends the reader, whatever it is busy with."""
        self._reader.close()

    async def _asked(
        self, view: str, names: Sequence[str], params: Mapping[str, str] | None
    ) -> tuple[_Key, list[tuple[str, str]], bool]:
        """The key, directories and versions of the sweeps, and whether these stay as they are."""
        states = [await self._index.get(name) for name in names]
        key = (view, tuple(names), tuple(sorted((params or {}).items())))
        sweeps = [(str(self._index.directory(s.name)), s.version) for s in states]
        return key, sweeps, all(state.is_over for state in states)

    def _etag(self, key: _Key, sweeps: list[tuple[str, str]]) -> str:
        digest = hashlib.sha256(repr((self._build, key, sweeps)).encode()).hexdigest()
        return f'"{digest[:24]}"'

    def _may_renew(self, key: _Key) -> bool:
        """Whether it is the turn of this older answer: the oldest that is asked for goes first."""
        if self._renewing or time.monotonic() < self._rests_until:
            return False
        lagging = [k for k in self._asked_for() if self._kept[k].etag != self._wanted[k][1]]
        oldest = min(lagging, key=lambda each: self._kept[each].made_at)
        rested_s = time.time() - self._kept[key].made_at
        return key == oldest and rested_s > self._kept[key].cost_s / _SHARE

    def _asked_for(self) -> set[_Key]:
        """What somebody looks at just now."""
        now = time.monotonic()
        recent = {
            k: wanted for k, wanted in self._wanted.items() if now - wanted[0] < _ASKED_WITHIN_S
        }
        self._wanted = recent
        return recent.keys() & self._kept.keys()

    def _renew(self, key: _Key, sweeps: list[tuple[str, str]], *, at_rest: bool) -> None:
        """With it all else that is asked for of its sweeps, which are then read once for all."""
        for each in {key} | {other for other in self._asked_for() if other[1] == key[1]}:
            task = self._begin(each, sweeps, self._etag(each, sweeps))
            if at_rest:
                self._renewing.add(task)
            task.add_done_callback(self._rest)

    def _rest(self, task: asyncio.Task[Answer]) -> None:
        """Nobody waits for it: what went wrong is met again by who asks next."""
        is_failed = task.cancelled() or task.exception() is not None
        if task not in self._renewing:
            return
        self._renewing.remove(task)
        if not is_failed:
            begin = max(time.monotonic(), self._rests_until)
            self._rests_until = begin + task.result().cost_s / _SHARE

    def _begin(self, key: _Key, sweeps: list[tuple[str, str]], etag: str) -> asyncio.Task[Answer]:
        """Computes, unless the same is being computed: then that is waited for."""
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= _MOST_WAITING:
                raise Refusal(503, "too much is being asked: try again in a minute")
            task = asyncio.create_task(self._compute(key, sweeps, etag))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return task

    async def _compute(self, key: _Key, sweeps: list[tuple[str, str]], etag: str) -> Answer:
        view, _, params = key
        future = self._reader.submit(compute, VIEWS[view], sweeps, dict(params))
        try:
            content, is_packed, kind, cost_s = await asyncio.wrap_future(future)
        except ReaderDied:
            raise Refusal(503, "the process that reads sweeps has died: try again") from None
        answer = Answer(content, is_packed, kind, etag, time.time(), cost_s)
        self._keep(key, answer)
        return answer

    def _keep(self, key: _Key, answer: Answer) -> None:
        before = self._kept.pop(key, None)
        self._kept_bytes -= len(before.content) if before else 0
        if len(answer.content) > self._largest_bytes // 4:
            return
        self._kept[key] = answer
        self._kept_bytes += len(answer.content)
        while self._kept_bytes > self._largest_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest.content)


def matches(request: Request, etag: str) -> bool:
    """Whether who asks has that already."""
    known = request.headers.get("if-none-match", "")
    return etag in (tag.strip().removeprefix("W/") for tag in known.split(","))
