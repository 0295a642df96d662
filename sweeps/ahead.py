"""Prepares trials before workers ask for them, so that no worker waits for the sampler.

A proposal takes milliseconds in a short study and tenths of a second in a long one. As long as
what is asked for takes less than `AT_ONCE_S`, it is drawn when it is asked for, from all that is
known by then. From then on a thread keeps some trials ready, which were drawn from what was known
a little earlier: before the reports of at most the last interval of a worker or two. That is the
price; Optuna's constant liar sees the prepared trials as it sees those in training.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sweeps.ledger import Ticket

__all__ = ["AT_ONCE_S", "MOST_READY", "Ahead"]

AT_ONCE_S = 0.03
"""Seconds of a core, drawing, that one exchange may take."""

MOST_READY = 32
"""Trials that are ready at most, however many are in flight."""

_MEMORY = 0.8  # of the mean time of a proposal, per proposal


class Ahead:
    """Draws trials: at once, or in a thread that keeps some ready.

    Args:
        draw: begins a trial; is never called twice at a time.
        most: trials that are ready at most; 0 draws all at once, without a thread.
        clock: seconds that this thread has worked; what else the machine does is not held against
            the sampler.
    """

    def __init__(
        self, draw: Callable[[], Ticket], most: int, clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._draw, self._most, self._clock = draw, most, clock
        self._drawing = threading.Lock()
        self._changed = threading.Condition()
        self._ready: list[Ticket] = []
        self._wanted = 0
        self._is_drawing = False
        self._error: Exception | None = None
        self._draw_s: float | None = None
        self._is_first = True
        self._is_over = False
        self._thread: threading.Thread | None = None

    def collect(self) -> list[Ticket]:
        """The trials that have become ready; nothing more is drawn until `aim` says so.

        Raises:
            Exception: what drawing one raised, if it failed.
        """
        with self._changed:
            self._wanted = 0
            ready, self._ready = self._ready, []
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return ready

    def at_once(self, count: int, *, patient: bool = False) -> list[Ticket]:
        """As many new trials as can be drawn in time, at most `count`.

        Args:
            count: trials that are asked for.
            patient: whether to draw all, however long it takes: who asks has nothing else to do.
        """
        drawn: list[Ticket] = []
        patient = patient or self._most == 0
        if count <= 0 or not self._drawing.acquire(blocking=patient):
            return drawn
        try:
            spent = 0.0
            while len(drawn) < count:
                if not patient and spent + (self._draw_s or 0.0) > AT_ONCE_S:
                    break
                ticket, took = self._timed_draw()
                drawn.append(ticket)
                spent += took
        finally:
            self._drawing.release()
        return drawn

    def aim(self, ready: int, left: int, wanted: int) -> None:
        """Lets the thread prepare what will be asked for.

        Args:
            ready: trials that are ready, as the caller knows.
            left: trials that are still to begin, without those.
            wanted: trials that were asked for now.
        """
        if self._most == 0 or (self._draw_s or 0.0) * max(1, wanted) <= AT_ONCE_S:
            return  # next time they are drawn at once
        with self._changed:
            underway = int(self._is_drawing) + len(self._ready)
            self._wanted = max(0, min(self._most - ready, left) - underway)
            if self._thread is None and self._wanted:
                self._thread = threading.Thread(target=self._run, name="suggest", daemon=True)
                self._thread.start()
            self._changed.notify()

    @property
    def underway(self) -> int:
        """Trials that are begun and not collected: they are trials of the study already."""
        with self._changed:
            return int(self._is_drawing) + len(self._ready)

    def end(self) -> None:
        """Draws no more, and waits for what is being drawn."""
        with self._changed:
            self._is_over, self._wanted = True, 0
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _timed_draw(self) -> tuple[Ticket, float]:
        """A trial, and what it took; the first, in which libraries are imported, as nothing."""
        begin = self._clock()
        ticket = self._draw()
        took = self._clock() - begin
        if self._is_first:
            self._is_first = False
            return ticket, 0.0
        before = took if self._draw_s is None else self._draw_s
        self._draw_s = _MEMORY * before + (1 - _MEMORY) * took
        return ticket, took

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._wanted:
                    if self._is_over:
                        return
                    self._changed.wait()
                self._wanted -= 1
                self._is_drawing = True
            ticket, failure = None, None
            try:
                with self._drawing:
                    ticket, _ = self._timed_draw()
            except Exception as error:  # who collects raises it
                failure = error
            with self._changed:
                self._is_drawing = False
                if ticket is not None:
                    self._ready.append(ticket)
                else:
                    self._error, self._wanted = failure, 0
