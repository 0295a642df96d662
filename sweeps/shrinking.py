"""A worker that trains fewer members at a time when memory runs out, and goes on.

An error leaves a process to go on with: its trials are given back unharmed, the cohort is dropped
and another of half its slots begins. A death (the kernel's, or Ray's memory monitor's) is seen by
the next process, which begins with as much less. Fewer slots also part a trial that kills its
workers from the others: see `sweeps.ledger.Ledger.begin`.

Knows nothing of Ray, as `sweeps.worker`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from gan_core.out_of_memory import out_of_memory
from sweeps.config import SweepConfig
from sweeps.ledger import MOST_BREAKS
from sweeps.memory import free_memory
from sweeps.protocol import Final, Reply, RungReport
from sweeps.store import StorageError, Store
from sweeps.worker import Advance, Worker

__all__ = ["Link", "ShrinkingWorker"]

_log = logging.getLogger(__name__)

_MOST_IN_VAIN = 2 * MOST_BREAKS
"""Times in a row that trials alone find no memory before it is taken for the place's fault."""


class Link(Protocol):
    """The way to `sweeps.study.StudyOwner`, the worker's name filled in."""

    def exchange(self, **message: Any) -> Reply:
        """See `sweeps.worker.Exchange`."""
        ...

    def release(self) -> None:
        """Gives all trials back, unharmed."""
        ...

    def notify(self, line: str) -> None:
        """Has a line shown to whoever watches the sweep."""
        ...


class ShrinkingWorker:
    """Makes a `Worker`, and a smaller one when that finds no memory.

    A trial for which there is none though it is alone counts as broken, and is set aside in the
    end; then all slots are tried again, as they are after the end of a trial that killed its
    workers. If two others find no memory right after it, it is this place that is too small for
    any, and the worker ends.

    Args:
        config: of the sweep.
        name: unlike any other worker's of the sweep.
        slots: members at a time, while there is memory for them.
        deaths: of this worker, in a row and without getting further; each halves the slots.
        device: "cpu" or "cuda".
        link: to the owner of the study.
        store: where rows go.

    Raises:
        Exception: there is no memory for one trial, as Python or torch says it.
    """

    def __init__(
        self,
        config: SweepConfig,
        *,
        name: str,
        slots: int,
        deaths: int = 0,
        device: str,
        link: Link,
        store: Store,
    ) -> None:
        self._config, self._name, self._device = config, name, device
        self._link, self._store = link, store
        self._full = slots
        self._room = max(1, self._full_room >> deaths)
        self._given: set[int] = set()
        self._reasons: dict[int, str] = {}
        self._is_over = False  # and there may be no worker
        self._in_vain = 0  # times in a row that a trial alone found no memory
        self._before = Advance()  # what earlier cohorts of this process came to
        self._last = Advance()
        if self._room < self._full_room:
            often = "died" if deaths == 1 else f"died {deaths} times in a row"
            self._tell(f"{often} without getting on, and goes on with {self.slots} members")
        self._worker = self._new_worker()

    @property
    def slots(self) -> int:
        """Members at a time, now."""
        seeds = self._config.train.seeds
        return self._full if self._room == self._full_room else self._room * seeds

    @property
    def room(self) -> int:
        """Trials at a time, now."""
        return self._room

    @property
    def _full_room(self) -> int:
        return self._full // self._config.train.seeds

    def advance(self) -> Advance:
        """`Worker.advance`; where memory ran out, nothing but that there is less to do it with."""
        if self._is_over:
            return self._total(Advance(done=True))
        try:
            advance = self._worker.advance()
        except StorageError:
            raise
        except Exception as error:
            reason = out_of_memory(error)
            if reason is None:
                raise
        else:
            return self._went_well(advance)
        # Here the error is gone, and with it all that its frames have held.
        return self._total(Advance(done=not self._make_room(reason)))

    def write_control(self) -> bool:
        """`Worker.write_control`; returns whether it is over and done with."""
        if self._is_over:
            return True
        try:
            self._worker.write_control()
        except StorageError:
            raise
        except Exception as error:
            reason = out_of_memory(error)
            if reason is None:
                raise
        else:
            return True
        if self._room > 1:
            self._make_room(reason)
            return False
        self._tell(f"found no memory to judge real images with: {reason}")
        return True

    def _went_well(self, advance: Advance) -> Advance:
        if advance.member_steps > self._last.member_steps:
            self._in_vain = 0
        found_guilty = advance.given_up > self._last.given_up
        self._last = advance
        if found_guilty and self._room < self._full_room and not advance.done:
            self._worker.keep()
            self._link.release()
            self._room = self._full_room
            self._replace_worker()
            self._tell(f"set aside what broke it, and goes on with {self.slots} members again")
            return self._total(Advance())
        return self._total(advance)

    # --- when memory ran out

    def _make_room(self, reason: str) -> bool:
        """Goes on with less; returns whether there is a way to."""
        self._worker.tell()
        if self._room > 1:
            self._link.release()
            self._shrink(reason)
        elif self._in_vain < _MOST_IN_VAIN:
            self._in_vain += 1
            self._reasons |= dict.fromkeys(self._given, reason)
        else:
            return self._end(reason)
        try:
            self._replace_worker()
        except Exception as error:
            found = out_of_memory(error)
            if found is None:
                raise
            return self._end(found)
        return True

    def _end(self, reason: str) -> bool:
        self._is_over = True
        self._link.release()
        self._tell(f"ends: it finds no memory for any trial ({reason})")
        return False

    def _shrink(self, reason: str) -> None:
        before, self._room = self.slots, self._room // 2
        self._tell(
            f"ran out of memory with {before} members at a time, and goes on with {self.slots} "
            f"({reason})"
        )

    def _replace_worker(self) -> None:
        self._before, self._last = self._total(self._last), Advance()
        del self._worker  # before there is another
        free_memory()
        self._worker = self._new_worker()

    def _new_worker(self) -> Worker:
        while True:
            try:
                return Worker(
                    self._config,
                    name=self._name,
                    slots=self.slots,
                    device=self._device,
                    exchange=self._exchange,
                    store=self._store,
                    reasons=self._reasons,
                )
            except Exception as error:
                reason = out_of_memory(error)
                if reason is None or self._room == 1:
                    raise
            self._shrink(reason)
            free_memory()

    # --- the owner of the study

    def _exchange(
        self,
        held: Sequence[int],
        reports: Sequence[RungReport],
        finals: Sequence[Final],
        want: int,
        member_steps: int,
    ) -> Reply:
        reply = self._link.exchange(
            held=held,
            reports=reports,
            finals=finals,
            want=want,
            member_steps=self._before.member_steps + member_steps,
        )
        self._given = {*held, *(assignment.trial for assignment in reply.refills)}
        return reply

    def _tell(self, what: str) -> None:
        line = f"{self._name} {what}"
        _log.warning("%s", line)
        self._link.notify(line)

    def _total(self, advance: Advance) -> Advance:
        """Over all cohorts of this process."""
        return Advance(
            members=advance.members,
            member_steps=self._before.member_steps + advance.member_steps,
            ended=self._before.ended + advance.ended,
            given_up=self._before.given_up + advance.given_up,
            done=advance.done,
        )
