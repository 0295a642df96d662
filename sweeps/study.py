"""The one owner of the Optuna study: proposes, reports, judges and tells.

It is an ordinary class; a sweep runs it as one Ray actor, so calls never overlap.
Everything is in the journal before a call returns, in an order in which every prefix can be
continued: an owner that dies at any write is replaced by a new one on the same file.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from sweeps.continuation import open_study
from sweeps.ledger import Ledger, Ticket
from sweeps.mirror import Mirror
from sweeps.objective import constraint
from sweeps.outage import OUTAGE_S, Lifeline
from sweeps.protocol import Assignment, Final, Outcome, Reply, RungReport, StudyStatus
from sweeps.sampler import make_sampler
from sweeps.settings import Pruner, StudySettings
from sweeps.store import StorageError
from sweeps.study_place import Place, open_storage, study_name

__all__ = ["LEASE_S", "StudyOwner"]

LEASE_S = 120.0
"""Seconds of silence after which a worker is taken for dead. Long enough for the first interval
of a cohort, which compiles; workers that need longer send heartbeats."""

_MOST_NOTICES = 100  # all travel with every status

# User attributes of a trial.
_HYPERPARAMETERS, _SEEDS, _OWNER, _OUTCOME = "hyperparameters", "seeds", "owner", "outcome"
_BASELINE = "baseline"
# And one of the study.
_LIVES = "lives"

_Result = TypeVar("_Result")

# For trials that somebody else told, with Optuna's own tools.
_BY_STATE = {
    TrialState.COMPLETE: Outcome.COMPLETE,
    TrialState.PRUNED: Outcome.PRUNED,
    TrialState.FAIL: Outcome.FAILED,
}


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
    ) -> None:
        self._settings = settings
        self._suggest = suggest
        self._run_id = run_id
        self._place = place
        self._new_ledger = functools.partial(Ledger, run_id, lease_s, clock)
        self._stopping = False
        self._failure: str | None = None
        self._notices: list[str] = []
        self._lifeline = Lifeline(self._open, outage_s)
        self._lifeline.through(lambda: None)

    def _open(self) -> None:
        """Opens the study, and recalls all that is known of its trials."""
        self._storage = open_storage(self._place, own=True)
        self._study = open_study(self._storage, self._settings, study_name(self._place))
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)
        self._ledger = self._new_ledger()
        self._ended: Counter[Outcome] = Counter()
        self._best: tuple[int, float] | None = None
        trials = self._study.get_trials(deepcopy=False)
        settings = self._settings
        self._study.sampler = make_sampler(settings.sampler, settings.seed, len(trials))
        self._recall(trials)
        self._enqueue_baselines(trials)

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
        latest = {report.trial: report for report in sorted(reports, key=lambda r: r.step)}
        for report in reports:
            self._record(worker, report)
        for final in finals:
            self._finish(worker, final)
        ended = {final.trial for final in finals}
        dropped = self._ledger.claim(worker, held)
        for trial in sorted(latest):
            self._judge(worker, latest[trial])
        lost, refills = ([], []) if self._stopping else self._give_out(worker, want)
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
            self._write_lives()
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
                self._write_owner(ticket)

        self._surviving(release)

    def close(self) -> None:
        """Lets go of the study, for another owner in the same process."""
        if isinstance(self._storage, Mirror):
            self._storage.close()

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
            return self._lifeline.through(call)
        except StorageError as error:
            self.give_up(str(error))
            raise

    # --- what workers reached

    def _record(self, worker: str, report: RungReport) -> None:
        """Reports a value to Optuna.

        Through the storage, since `Trial.report` keeps a step's first value: a later attempt's
        replaces an earlier one's, as its rows do, so that the study and the results agree.
        """
        ticket = self._ledger.held(worker, report.trial)
        if ticket is None:
            return
        ticket.step = report.step
        trial_id = self._trial_id(report.trial)
        known = self._storage.get_trial(trial_id).intermediate_values
        if all(report.step > step for step in known):
            self._got_on(worker, ticket)
        if known.get(report.step) != report.value:
            self._storage.set_trial_intermediate_value(trial_id, report.step, report.value)

    def _got_on(self, worker: str, ticket: Ticket) -> None:
        """What comes further than ever before does not break its workers."""
        ticket.got_on = True
        if ticket.breaks:
            ticket.breaks = 0
            self._write_owner(ticket)
        if self._ledger.got_on(worker):
            self._write_lives()

    def _judge(self, worker: str, report: RungReport) -> None:
        ticket = self._ledger.held(worker, report.trial)
        if ticket is None or self._settings.pruner is Pruner.NONE:
            return
        # More diverged than allowed: it will not become feasible again.
        if self._excess(ticket, report.diverged) > 0:
            ticket.condemned = True
            return
        trial = copy.copy(self._storage.get_trial(self._trial_id(report.trial)))
        # An earlier attempt may have reported later rungs; this one is judged where it stands.
        trial.intermediate_values = {
            step: value for step, value in trial.intermediate_values.items() if step <= report.step
        }
        ticket.condemned |= self._study.pruner.prune(self._study, trial)

    def _is_condemned(self, worker: str, trial: int) -> bool:
        ticket = self._ledger.held(worker, trial)
        return ticket is not None and ticket.condemned

    def _finish(self, worker: str, final: Final) -> None:
        ticket = self._ledger.held(worker, final.trial)
        if ticket is None:
            return
        trial_id = self._trial_id(final.trial)
        trial = self._storage.get_trial(trial_id)
        value = _last_value(trial)
        # Nothing is complete without a number or a seed that is left, whatever share is allowed.
        seeds = len(ticket.seeds)
        whole = math.isfinite(value) and final.diverged < seeds
        sound = final.outcome is not Outcome.COMPLETE or whole
        excess = self._excess(ticket, final.diverged if sound else seeds)
        if "diverged_share" not in trial.constraints:
            Trial(self._study, trial_id).set_constraint("diverged_share", excess)
        outcome = _judged(final.outcome, excess, sound)
        self._storage.set_trial_user_attr(trial_id, _OUTCOME, outcome.value)
        match outcome:
            case Outcome.COMPLETE:
                self._study.tell(final.trial, value, TrialState.COMPLETE, skip_if_finished=True)
            case Outcome.PRUNED | Outcome.DIVERGED:
                self._study.tell(final.trial, state=TrialState.PRUNED, skip_if_finished=True)
            case Outcome.FAILED:
                self._study.tell(final.trial, state=TrialState.FAIL, skip_if_finished=True)
        self._ledger.remove(final.trial)
        self._count(final.trial, outcome, value)

    def _excess(self, ticket: Ticket, diverged: int) -> float:
        return constraint(diverged, len(ticket.seeds), self._settings.allowed_diverged_share)

    def _count(self, trial: int, outcome: Outcome, value: float) -> None:
        self._ended[outcome] += 1
        if outcome is not Outcome.COMPLETE:
            return
        sign = -1 if self._study.direction is optuna.study.StudyDirection.MAXIMIZE else 1
        if self._best is None or sign * value < sign * self._best[1]:
            self._best = (trial, value)

    # --- what workers get

    def _give_out(self, worker: str, want: int) -> tuple[list[Assignment], list[Assignment]]:
        """Trials given up, and trials to begin: those begun before first."""
        lost: list[Assignment] = []
        refills: list[Assignment] = []
        for ticket in self._ledger.free(worker):
            if self._ledger.broken(ticket):
                lost.append(self._give(ticket, worker))
            elif len(refills) < want:
                refills.append(self._give(ticket, worker))
        begun = self._ended.total() + len(self._ledger)
        room = min(
            want - len(refills),
            self._settings.in_flight - len(self._ledger),
            self._settings.trials - begun,
        )
        for _ in range(room):
            refills.append(self._give(self._prepare(self._study.ask()), worker))
        return lost, refills

    def _prepare(self, trial: Trial) -> Ticket:
        """Settles what is trained; continues where a crash left the trial half prepared."""
        attrs = trial.user_attrs
        hyperparameters = attrs.get(_HYPERPARAMETERS)
        if hyperparameters is None:
            hyperparameters = self._suggest(trial)
            trial.set_user_attr(_HYPERPARAMETERS, hyperparameters)
        if _SEEDS not in attrs:
            trial.set_user_attr(_SEEDS, list(self._settings.seeds_of(trial.number)))
        ticket = Ticket(
            trial=trial.number,
            hyperparameters=hyperparameters,
            seeds=self._settings.seeds_of(trial.number),
            **attrs.get(_OWNER, {}),
        )
        self._ledger.add(ticket)
        return ticket

    def _give(self, ticket: Ticket, worker: str) -> Assignment:
        self._ledger.give(ticket, worker)
        self._write_owner(ticket)
        return Assignment(
            trial=ticket.trial,
            attempt=ticket.attempt,
            hyperparameters=ticket.hyperparameters,
            seeds=ticket.seeds,
            breaks=ticket.breaks,
        )

    def _write_owner(self, ticket: Ticket) -> None:
        owner = {name: getattr(ticket, name) for name in ("run", "worker", "attempt", "breaks")}
        self._storage.set_trial_user_attr(self._trial_id(ticket.trial), _OWNER, owner)

    def _write_lives(self) -> None:
        lives = {"run": self._run_id, "workers": dict(self._ledger.lives)}
        self._study.set_user_attr(_LIVES, lives)

    # --- what the journal holds

    def _recall(self, trials: list[FrozenTrial]) -> None:
        lives = self._study.user_attrs.get(_LIVES, {})
        if lives.get("run") == self._run_id:
            self._ledger.recall_lives(lives["workers"])
        for trial in trials:
            if trial.state is TrialState.RUNNING:
                self._prepare(Trial(self._study, self._trial_id(trial.number)))
            elif trial.state.is_finished():
                outcome = trial.user_attrs.get(_OUTCOME, _BY_STATE[trial.state])
                self._count(trial.number, Outcome(outcome), _last_value(trial))

    def _enqueue_baselines(self, trials: list[FrozenTrial]) -> None:
        """Each baseline once, over all runs: a trial remembers which one it is."""
        known = {_text(trial.user_attrs.get(_BASELINE)) for trial in trials}
        for baseline in map(dict, self._settings.baselines):
            if _text(baseline) not in known:
                known.add(_text(baseline))
                self._study.enqueue_trial(baseline, user_attrs={_BASELINE: baseline})

    def _trial_id(self, trial: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial)


def _judged(outcome: Outcome, excess: float, sound: bool) -> Outcome:
    """What a trial counts as; infeasible ones never as complete or merely pruned."""
    if outcome is not Outcome.FAILED and (excess > 0 or not sound):
        return Outcome.DIVERGED
    return outcome


def _last_value(trial: FrozenTrial) -> float:
    """The last reported value; NaN if there is none."""
    return math.nan if trial.last_step is None else trial.intermediate_values[trial.last_step]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
