"""What happens to sweeps, as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

from sweeps.service.states import SweepState
from sweeps.service.sweeps_index import SweepsIndex

__all__ = ["Stream", "what_happened"]

_LOOKS_EVERY_S = 1.0
_BREATHES_EVERY_S = 15.0


class Stream:
    """Events for those who watch.

    Args:
        index: of the sweeps.
        most: who may watch at a time; each holds a connection.
    """

    def __init__(self, index: SweepsIndex, most: int = 200) -> None:
        self._index, self._most = index, most
        self._watchers = 0
        self._closing = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether nobody more may watch."""
        return self._watchers >= self._most

    def close(self) -> None:
        """Lets all streams end, so that the service can."""
        self._closing.set()

    async def events(self, name: str | None = None) -> AsyncIterator[str]:
        """Of one sweep or of all: the state of each at once, then what happens.

        A stream of one sweep ends when it is deleted.
        """
        self._watchers += 1
        try:
            seen: dict[str, SweepState] = {}
            revision, breath = -1, time.monotonic()
            while not self._closing.is_set():
                await self._index.refresh()
                if self._index.revision != revision:
                    revision = self._index.revision
                    now = self._index.states
                    shown = now if name is None else {n: s for n, s in now.items() if n == name}
                    for text in _texts(seen, shown):
                        breath = time.monotonic()
                        yield text
                    seen = dict(shown)
                    if name is not None and not shown:
                        return
                if time.monotonic() - breath > _BREATHES_EVERY_S:
                    breath = time.monotonic()
                    yield ": still here\n\n"
                await self._pause()
        finally:
            self._watchers -= 1

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), _LOOKS_EVERY_S)
        except TimeoutError:
            return


def what_happened(before: SweepState | None, now: SweepState) -> str | None:
    """The kind of event between two states of a sweep, if any.

    `status`: it is new, or does something else than before; `end`: it runs no more; `rung`: trials
    got on.
    """
    if before is None:
        return "status"
    if before.state is not now.state:
        return "end" if now.is_over and not before.is_over else "status"
    return "rung" if _got_on(now) != _got_on(before) else None


def _got_on(sweep: SweepState) -> tuple[int, int, int, int | None]:
    return (sweep.ended, sweep.training_steps, sweep.in_training, sweep.best_trial)


def _texts(before: Mapping[str, SweepState], now: Mapping[str, SweepState]) -> list[str]:
    texts = [f'event: deleted\ndata: {{"name":"{n}"}}\n\n' for n in before.keys() - now.keys()]
    for name, sweep in now.items():
        if kind := what_happened(before.get(name), sweep):
            texts.append(f"event: {kind}\ndata: {sweep.model_dump_json()}\n\n")
    return texts
