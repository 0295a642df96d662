"""The one owner of the Optuna study: proposes, reports, judges and tells.

It is an ordinary class; a sweep runs it as one Ray actor, so calls never overlap.
Everything is durable before a call returns, in an order in which every prefix can be continued: an
owner that dies at any write is replaced by a new one on the same study.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import TypeVar

from optuna.trial import Trial

from sweeps.ahead import MOST_READY, Ahead
from sweeps.ledger import Ledger, Ticket
from sweeps.outage import OUTAGE_S, Lifeline
from sweeps.protocol import Assignment, Final, Outcome, Reply, RungReport, StudyStatus
from sweeps.record import Record
from sweeps.settings import Pruner, StudySettings
from sweeps.store import StorageError
from sweeps.study_place import Place

__all__ = ["LEASE_S", "StudyOwner"]

LEASE_S = 120.0
"""Seconds of silence after which a worker is taken for dead. Long enough for the first interval
of a cohort, which compiles; workers that need longer send heartbeats."""

_MOST_NOTICES = 100  # all travel with every status

_Result = TypeVar("_Result")


class StudyOwner:
    """Continues the study in its place, or begins it.

    Args:
        settings: of the sweep. A number of trials beyond those of a finished study extends it.
        suggest: draws the hyperparameters of a trial; `sweeps.space.Space.suggest`.
        place: of the study, whose only writer this is.
        run_id: differs between a sweep's begin and each resumption. Trials that another run left
            running are begun again; an owner that restarts within a run keeps its `run_id`.
        lease_s: seconds of silence after which a worker's trials are given to others.
        clock: seconds, never going back.
        outage_s: seconds for which a storage that fails is tried again.
        ahead: whether trials may be prepared before they are asked for, see `sweeps.ahead`.

    Raises:
        ConfigError: the study was begun with settings whose values cannot be compared.
        StorageError: from calls, too: the storage failed for too long.
    """

    def __init__(
        self,
        settings: StudySettings,
        suggest: Callable[[Trial], dict[str, float | int | str]],
        place: Place,
        run_id: str,
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
        outage_s: float = OUTAGE_S,
        ahead: bool = False,
    ) -> None:
        self._settings = settings
        self._run_id = run_id
        self._new_record = functools.partial(Record, settings, suggest, place)
        self._most_ready = min(MOST_READY, max(1, settings.in_flight // 4)) if ahead else 0
        self._new_ledger = functools.partial(Ledger, run_id, lease_s, clock)
        self._stopping = False
        self._failure: str | None = None
        self._notices: list[str] = []
        self._lifeline = Lifeline(self._open, outage_s)
        self._lifeline.through(lambda: None)

    def _open(self) -> None:
        """Opens the study, and recalls all that is known of its trials."""
        self._let_go()
        self._record = self._new_record()
        self._ahead = Ahead(self._record.draw, self._most_ready)
        self._ledger = self._new_ledger()
        self._ended: Counter[Outcome] = Counter()
        self._best: tuple[int, float] | None = None
        self._ledger.recall_lives(self._record.lives(self._run_id))
        for ticket in self._record.running():
            self._ledger.add(ticket)
        for trial, outcome, value in self._record.ended():
            self._count(trial, outcome, value)
        self._record.enqueue_baselines()

    def _let_go(self) -> None:
        if hasattr(self, "_record"):
            self._ahead.end()
            self._record.close()

    def exchange(
        self,
        worker: str,
        held: Collection[int],
        reports: Collection[RungReport],
        finals: Collection[Final],
        want: int,
        member_steps: int = 0,
    ) -> Reply:
        """Takes in what a worker reached and says what it is to do next.

        May be repeated: nothing is told twice. What was given to the worker in a reply that it
        never got is missing in `held`, and is given again before anything new. Messages about
        trials that ended or were given to another worker since are ignored.

        Args:
            worker: its name; a restarted worker may keep it.
            held: trials in training, without those in `finals`.
            reports: what held and ending trials reached since the last exchange.
            finals: trials that ended and whose rows are durable.
            want: number of trials that there is room for.
            member_steps: G updates of this worker over all members since the run began.
        """
        return self._surviving(
            lambda: self._exchange(worker, held, reports, finals, want, member_steps)
        )

    def _exchange(
        self,
        worker: str,
        held: Collection[int],
        reports: Collection[RungReport],
        finals: Collection[Final],
        want: int,
        member_steps: int,
    ) -> Reply:
        self._ledger.heard(worker, member_steps)
        # All are in before the first is judged: see `sweeps.pruner`.
        ordered = sorted(reports, key=lambda report: report.step)
        latest = {report.trial: report for report in ordered}
        let_on = {report.trial: self._report(worker, report) for report in ordered}
        for final in finals:
            self._finish(worker, final)
        ended = {final.trial for final in finals}
        dropped = self._ledger.claim(worker, held)
        for trial in sorted(latest):
            self._judge(worker, latest[trial], was_let_on=let_on[trial])
        lost, refills = ([], []) if self._stopping else self._give_out(worker, want, idle=not held)
        return Reply(
            prune=tuple(trial for trial in held if self._is_condemned(worker, trial)),
            dropped=tuple(trial for trial in dropped if trial not in ended),
            refills=tuple(refills),
            lost=tuple(lost),
            done=self.status().done,
            stop=self._stopping,
        )

    def heartbeat(self, worker: str) -> None:
        """Renews the lease of a worker that is long between two rungs."""
        self._ledger.heard(worker)

    def begin_worker(self, worker: str) -> int:
        """Hears of a worker that begins, also again after it died.

        Returns:
            How many of its lives in this run ended in a row, up to the last, without one of its
            trials getting further than ever before; 0 for a fresh one. Repeating the call counts
            a life that never was, which costs the worker no more than room.
        """

        def begin() -> int:
            self._ledger.heard(worker)
            deaths = self._ledger.begin(worker)
            self._record.write_lives(self._run_id, self._ledger.lives)
            return deaths

        return self._surviving(begin)

    def release(self, worker: str) -> None:
        """Takes a worker's trials back unharmed: nobody broke, and nobody is to blame.

        They go on from what was kept of them, with this worker or with others. May be repeated.
        A worker that has no smaller cohort left to try must fail instead, or the trial that fits
        nowhere would come back for ever.
        """

        def release() -> None:
            self._ledger.heard(worker)
            for ticket in self._ledger.release(worker):
                self._record.write_owner(ticket)

        self._surviving(release)

    def close(self) -> None:
        """Lets go of the study, for another owner in the same process."""
        self._let_go()

    def request_stop(self) -> None:
        """From now on gives nothing out, and tells every worker to stop."""
        self._stopping = True

    def give_up(self, reason: str) -> None:
        """Stops every worker for what none of them can mend; no trial is to blame for it."""
        self._failure = self._failure or reason
        self._stopping = True

    def notify(self, line: str) -> None:
        """Takes in what a worker has to say to who watches the sweep."""
        if len(self._notices) < _MOST_NOTICES:
            self._notices.append(line)

    def status(self) -> StudyStatus:
        """Where the sweep stands, from counters."""
        best = self._best or (None, None)
        return StudyStatus(
            total=self._settings.trials,
            complete=self._ended[Outcome.COMPLETE],
            pruned=self._ended[Outcome.PRUNED],
            diverged=self._ended[Outcome.DIVERGED],
            failed=self._ended[Outcome.FAILED],
            running=len(self._ledger),
            ready=self._ledger.ready,
            begun=self._ledger.steps / self._settings.steps,
            best_trial=best[0],
            best_value=best[1],
            member_steps=self._ledger.member_steps,
            workers=self._ledger.workers,
            stopping=self._stopping,
            failure=self._failure,
            notices=tuple(self._notices),
        )

    def _surviving(self, call: Callable[[], _Result]) -> _Result:
        """Does what may be repeated, also when the storage fails and comes back meanwhile."""
        try:
            return self._lifeline.through(lambda: self._durably(call))
        except StorageError as error:
            self.give_up(str(error))
            raise

    def _durably(self, call: Callable[[], _Result]) -> _Result:
        with self._record.together():
            return call()

    # --- what workers reached

    def _report(self, worker: str, report: RungReport) -> bool:
        """Returns whether an earlier attempt was let on from there."""
        ticket = self._ledger.held(worker, report.trial)
        if ticket is None:
            return False
        ticket.step = report.step
        heard = self._record.report(report)
        if heard.is_further:
            self._got_on(worker, ticket)
        return heard.was_let_on

    def _got_on(self, worker: str, ticket: Ticket) -> None:
        """What comes further than ever before does not break its workers."""
        ticket.got_on = True
        if ticket.breaks:
            ticket.breaks = 0
            self._record.write_owner(ticket)
        if self._ledger.got_on(worker):
            self._record.write_lives(self._run_id, self._ledger.lives)

    def _judge(self, worker: str, report: RungReport, *, was_let_on: bool) -> None:
        ticket = self._ledger.held(worker, report.trial)
        if ticket is None or self._settings.pruner is Pruner.NONE:
            return
        # More diverged than allowed: it will not become feasible again.
        if self._record.excess(ticket, report.diverged) > 0:
            ticket.condemned = True
            return
        # An earlier attempt went on from here, when fewer had reported: ended here, this one would
        # not come to what that one has left.
        if not was_let_on:
            ticket.condemned |= self._record.judges(report)

    def _is_condemned(self, worker: str, trial: int) -> bool:
        ticket = self._ledger.held(worker, trial)
        return ticket is not None and ticket.condemned

    def _finish(self, worker: str, final: Final) -> None:
        ticket = self._ledger.held(worker, final.trial)
        if ticket is None:
            return
        outcome, value = self._record.finish(ticket, final)
        self._ledger.remove(final.trial)
        self._count(final.trial, outcome, value)

    def _count(self, trial: int, outcome: Outcome, value: float) -> None:
        self._ended[outcome] += 1
        if outcome is not Outcome.COMPLETE:
            return
        sign = self._record.sign
        if self._best is None or sign * value < sign * self._best[1]:
            self._best = (trial, value)

    # --- what workers get

    def _give_out(
        self, worker: str, want: int, *, idle: bool
    ) -> tuple[list[Assignment], list[Assignment]]:
        """Trials given up, and trials to begin: those begun before first."""
        for ticket in self._ahead.collect():
            self._ledger.add(ticket)
        lost: list[Assignment] = []
        refills: list[Assignment] = []
        for ticket in self._ledger.free(worker):
            if self._ledger.broken(ticket):
                lost.append(self._give(ticket, worker))
            elif len(refills) < want and (ticket.run or self._room > 0):
                refills.append(self._give(ticket, worker))
        lacking = min(want - len(refills), self._room, self._left)
        for ticket in self._ahead.at_once(lacking, patient=idle):
            self._ledger.add(ticket)
            refills.append(self._give(ticket, worker))
        self._ahead.aim(ready=self._ledger.ready, left=self._left, wanted=lacking)
        return lost, refills

    @property
    def _room(self) -> int:
        """Trials that may be given out as far as those in flight go."""
        return self._settings.in_flight - (len(self._ledger) - self._ledger.ready)

    @property
    def _left(self) -> int:
        """Trials that are still to begin."""
        begun = self._ended.total() + len(self._ledger) + self._ahead.underway
        return self._settings.trials - begun

    def _give(self, ticket: Ticket, worker: str) -> Assignment:
        self._ledger.give(ticket, worker)
        self._record.write_owner(ticket)
        return Assignment(
            trial=ticket.trial,
            attempt=ticket.attempt,
            hyperparameters=ticket.hyperparameters,
            seeds=ticket.seeds,
            breaks=ticket.breaks,
        )
