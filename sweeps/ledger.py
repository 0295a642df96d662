"""Who trains what: the trials that are begun and not ended, and the workers that hold them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

__all__ = ["MOST_BREAKS", "Ledger", "Ticket"]

MOST_BREAKS = 3
"""Workers that die in a row over a trial before it is given up: by then it is probably the trial
that kills them."""


@dataclass(kw_only=True)
class Ticket:
    """A trial that is begun and not ended."""

    trial: int
    hyperparameters: dict[str, float | int | str]
    seeds: tuple[int, ...]
    run: str | None = None
    """The run that gave the trial away last; None before the first time."""
    worker: str = ""
    """Whom it was given to; nobody before the first time, and since it was given back."""
    attempt: int = -1
    """How often it was given away again over all runs; -1 before the first time."""
    breaks: int = 0
    """How often it was given away again within `run` since it last came further than ever before.
    Resuming a sweep breaks nothing, and what gets on does not break its workers."""
    step: int = 0
    """The rung that it reached last."""
    got_on: bool = False
    """Whether it came further than ever before since it was given away last."""
    claimed: bool = True
    """False once the worker turned out not to hold it."""
    excused: bool = False
    """Whether the break that it is in is not held against it."""
    condemned: bool = False
    """Whether the worker was told to end it. Kept, so that a worker that restarts from before
    the rung is told again."""


class Ledger:
    """The tickets of one run. In memory: `sweeps.study` makes them durable.

    Args:
        run_id: differs between a sweep's begin and each resumption.
        lease_s: seconds of silence after which a worker's trials may be given to others.
        clock: seconds, never going back.
    """

    def __init__(self, run_id: str, lease_s: float, clock: Callable[[], float]) -> None:
        self._run_id = run_id
        self._lease_s = lease_s
        self._clock = clock
        self._tickets: dict[int, Ticket] = {}
        self._heard: dict[str, float] = {}
        self._member_steps: dict[str, int] = {}
        self._lives: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def ready(self) -> int:
        """Trials that nobody was given yet."""
        return sum(ticket.run is None for ticket in self._tickets.values())

    @property
    def steps(self) -> int:
        """The rungs that all of them reached, added up."""
        return sum(ticket.step for ticket in self._tickets.values())

    def add(self, ticket: Ticket) -> None:
        """Enters a trial; the worker of a ticket of this run gets a whole lease."""
        self._tickets[ticket.trial] = ticket
        if ticket.run == self._run_id and ticket.worker:
            self._heard.setdefault(ticket.worker, self._clock())

    def remove(self, trial: int) -> None:
        """Strikes out a trial that ended."""
        del self._tickets[trial]

    def heard(self, worker: str, member_steps: int = 0) -> None:
        """Renews the worker's lease; the greatest of its counts of G updates counts."""
        self._heard[worker] = self._clock()
        self._member_steps[worker] = max(member_steps, self._member_steps.get(worker, 0))

    def held(self, worker: str, trial: int) -> Ticket | None:
        """The trial's ticket, if this run gave it to this worker last."""
        ticket = self._tickets.get(trial)
        if ticket is None or (ticket.run, ticket.worker) != (self._run_id, worker):
            return None
        return ticket

    def claim(self, worker: str, held: Collection[int]) -> list[int]:
        """Notes what a worker holds of what it was given.

        Returns:
            What it holds and should not: ended, or given to another since.
        """
        for ticket in self._tickets.values():
            if self.held(worker, ticket.trial):
                ticket.claimed = ticket.trial in held
        return [trial for trial in held if not self.held(worker, trial)]

    def free(self, worker: str) -> list[Ticket]:
        """Tickets that this worker may be given: first its own that it does not hold."""
        free = [ticket for ticket in self._tickets.values() if self._is_free(ticket)]
        return sorted(free, key=lambda ticket: (ticket.worker != worker, ticket.trial))

    def broken(self, ticket: Ticket) -> bool:
        """Whether a trial that is free, so broken once more, broke too often for another try."""
        return self._breaks_if_given(ticket) >= MOST_BREAKS

    def give(self, ticket: Ticket, worker: str) -> None:
        """Makes the trial the worker's, to begin or go on from where it was kept."""
        ticket.breaks = self._breaks_if_given(ticket)
        ticket.attempt += 1
        ticket.run, ticket.worker = self._run_id, worker
        ticket.claimed, ticket.condemned = True, False
        ticket.excused, ticket.got_on = False, False

    def release(self, worker: str) -> list[Ticket]:
        """Makes what the worker holds nobody's, and free; no break is counted for it.

        Returns:
            The tickets concerned.
        """
        released = [t for t in self._tickets.values() if self.held(worker, t.trial)]
        for ticket in released:
            ticket.worker = ""
        return released

    # --- the lives of a worker

    @property
    def lives(self) -> Mapping[str, int]:
        """How often each worker was begun in a row without one of its trials getting further."""
        return self._lives

    def recall_lives(self, lives: Mapping[str, int]) -> None:
        """Takes over what an owner before this one counted."""
        self._lives = dict(lives)

    def begin(self, worker: str) -> int:
        """Counts another life of the worker.

        To blame for its death are those of its trials that have not got on, while others have.
        If none has, it may be any of them, or their number: unless there was only one, all are
        excused, and the worker is to take fewer of them at a time.

        Returns:
            How many of its lives before it ended in a row, up to the last, without one of its
            trials getting further than ever before.
        """
        own = [t for t in self._tickets.values() if self.held(worker, t.trial) and t.claimed]
        cannot_tell = len(own) > 1 and not any(ticket.got_on for ticket in own)
        for ticket in own:
            ticket.excused = ticket.got_on or cannot_tell
        before = self._lives.get(worker, 0)
        self._lives[worker] = before + 1
        return before

    def got_on(self, worker: str) -> bool:
        """Notes that a trial of the worker got further; returns whether that was news."""
        return self._lives.pop(worker, 0) > 0

    @property
    def member_steps(self) -> int:
        """G updates over all workers."""
        return sum(self._member_steps.values())

    @property
    def workers(self) -> int:
        """Workers heard of within the lease."""
        return sum(not self._silent(worker) for worker in self._heard)

    def _breaks_if_given(self, ticket: Ticket) -> int:
        if ticket.run != self._run_id:
            return 0
        return ticket.breaks if ticket.excused or not ticket.worker else ticket.breaks + 1

    def _is_free(self, ticket: Ticket) -> bool:
        if ticket.run != self._run_id or not ticket.worker or not ticket.claimed:
            return True
        return self._silent(ticket.worker)

    def _silent(self, worker: str) -> bool:
        return self._clock() - self._heard[worker] > self._lease_s
