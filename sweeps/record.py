"""A sweep's study as Optuna keeps it: what is drawn, reported, judged, told and remembered."""

from __future__ import annotations

import copy
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from sweeps.continuation import open_study
from sweeps.ledger import Ticket
from sweeps.objective import constraint
from sweeps.protocol import Final, Outcome, RungReport
from sweeps.pruner import RungPruner
from sweeps.recent import RecentTrials
from sweeps.sampler import make_sampler
from sweeps.settings import StudySettings
from sweeps.study_place import Place, open_own_storage, study_name

__all__ = ["Heard", "Record"]

# User attributes of a trial.
_HYPERPARAMETERS, _SEEDS, _OWNER, _OUTCOME = "hyperparameters", "seeds", "owner", "outcome"
_BASELINE = "baseline"
# And one of the study.
_LIVES = "lives"

# For trials that somebody else told, with Optuna's own tools.
_BY_STATE = {
    TrialState.COMPLETE: Outcome.COMPLETE,
    TrialState.PRUNED: Outcome.PRUNED,
    TrialState.FAIL: Outcome.FAILED,
}


class Heard(NamedTuple):
    """What a report was, beside what attempts at its trial had reported before."""

    is_further: bool
    """None came so far."""
    was_let_on: bool
    """One reported the same there, and then a later rung."""


class Record:
    """Opens the study in its place, or begins it. The only writer of it.

    Args:
        settings: of the sweep.
        suggest: draws the hyperparameters of a trial.
        place: of the study.

    Raises:
        ConfigError: the study was begun with settings whose values cannot be compared.
    """

    def __init__(
        self,
        settings: StudySettings,
        suggest: Callable[[Trial], dict[str, float | int | str]],
        place: Place,
    ) -> None:
        self._settings, self._suggest = settings, suggest
        self._storage = open_own_storage(place)
        self._study = open_study(self._storage, settings, study_name(place))
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)
        trials = self._study.get_trials(deepcopy=False)
        self._drawn_from = optuna.load_study(
            study_name=self._study.study_name,
            storage=RecentTrials(self._storage, self._study_id),  # type: ignore[arg-type]
            sampler=make_sampler(settings.sampler, settings.seed, len(trials)),
        )
        self._values: dict[int, dict[int, float]] = defaultdict(dict)
        for trial in trials:
            for step, value in trial.intermediate_values.items():
                self._values[step][trial.number] = value

    @property
    def sign(self) -> int:
        """-1 where the objective is maximised, else 1."""
        return -1 if self._study.direction is optuna.study.StudyDirection.MAXIMIZE else 1

    def together(self) -> AbstractContextManager[None]:
        """What is written inside is durable when the block ends."""
        return self._storage.together()

    def close(self) -> None:
        """Lets go of the study."""
        self._storage.close()

    # --- trials begin

    def draw(self) -> Ticket:
        """Begins a trial; one that was enqueued before a new one."""
        with self.together():
            return self._prepared(self._drawn_from.ask())

    def _prepared(self, trial: Trial) -> Ticket:
        """Settles what is trained; continues where a crash left the trial half prepared."""
        attrs = trial.user_attrs
        hyperparameters = attrs.get(_HYPERPARAMETERS)
        if hyperparameters is None:
            hyperparameters = self._suggest(trial)
            trial.set_user_attr(_HYPERPARAMETERS, hyperparameters)
        if _SEEDS not in attrs:
            trial.set_user_attr(_SEEDS, list(self._settings.seeds_of(trial.number)))
        return Ticket(
            trial=trial.number,
            hyperparameters=hyperparameters,
            seeds=self._settings.seeds_of(trial.number),
            **attrs.get(_OWNER, {}),
        )

    def enqueue_baselines(self) -> None:
        """Each baseline once, over all runs: a trial remembers which one it is."""
        trials = self._study.get_trials(deepcopy=False)
        known = {_text(trial.user_attrs.get(_BASELINE)) for trial in trials}
        for baseline in map(dict, self._settings.baselines):
            if _text(baseline) not in known:
                known.add(_text(baseline))
                self._drawn_from.enqueue_trial(baseline, user_attrs={_BASELINE: baseline})

    # --- trials go on

    def report(self, report: RungReport) -> Heard:
        """Reports a value to Optuna.

        Through the storage, since `Trial.report` keeps a step's first value: a later attempt's
        replaces an earlier one's, as its rows do, so that the study and the results agree.
        """
        trial_id = self._id(report.trial)
        known = self._storage.get_trial(trial_id).intermediate_values
        furthest = max(known, default=-1)
        is_same = known.get(report.step) == report.value
        if not is_same:
            self._storage.set_trial_intermediate_value(trial_id, report.step, report.value)
            self._values[report.step][report.trial] = report.value
        return Heard(
            is_further=report.step > furthest, was_let_on=is_same and report.step < furthest
        )

    def judges(self, report: RungReport) -> bool:
        """Whether the pruner ends the trial at this rung."""
        pruner = self._study.pruner
        if isinstance(pruner, RungPruner):  # without a look at every trial of the study
            values = self._values[report.step]
            others = [value for trial, value in values.items() if trial != report.trial]
            value = values[report.trial]
            return pruner.ends(report.step, value, others, self._study.direction)
        trial = copy.copy(self._storage.get_trial(self._id(report.trial)))
        # An earlier attempt may have reported later rungs; this one is judged where it stands.
        trial.intermediate_values = {
            step: value for step, value in trial.intermediate_values.items() if step <= report.step
        }
        return bool(pruner.prune(self._study, trial))

    def finish(self, ticket: Ticket, final: Final) -> tuple[Outcome, float]:
        """Tells Optuna a trial's end.

        Returns:
            What it counts as, and its value; NaN if it never reported one.
        """
        trial_id = self._id(final.trial)
        trial = self._storage.get_trial(trial_id)
        value = _last_value(trial)
        # Nothing is complete without a number or a seed that is left, whatever share is allowed.
        seeds = len(ticket.seeds)
        whole = math.isfinite(value) and final.diverged < seeds
        sound = final.outcome is not Outcome.COMPLETE or whole
        excess = self.excess(ticket, final.diverged if sound else seeds)
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
        return outcome, value

    def excess(self, ticket: Ticket, diverged: int) -> float:
        """By how much the share of diverged seeds is above the allowed one."""
        return constraint(diverged, len(ticket.seeds), self._settings.allowed_diverged_share)

    # --- what outlives the owner

    def write_owner(self, ticket: Ticket) -> None:
        """Remembers who trains the trial."""
        owner = {name: getattr(ticket, name) for name in ("run", "worker", "attempt", "breaks")}
        self._storage.set_trial_user_attr(self._id(ticket.trial), _OWNER, owner)

    def write_lives(self, run_id: str, lives: Mapping[str, int]) -> None:
        """Remembers how often workers were begun."""
        self._study.set_user_attr(_LIVES, {"run": run_id, "workers": dict(lives)})

    def lives(self, run_id: str) -> dict[str, int]:
        """What was remembered of workers in this run."""
        lives = self._study.user_attrs.get(_LIVES, {})
        return dict(lives["workers"]) if lives.get("run") == run_id else {}

    def running(self) -> Iterator[Ticket]:
        """The trials that are begun and not ended."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            yield self._prepared(Trial(self._drawn_from, self._id(trial.number)))

    def ended(self) -> Iterator[tuple[int, Outcome, float]]:
        """The trials that ended, what they count as, and their values."""
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                outcome = trial.user_attrs.get(_OUTCOME, _BY_STATE[trial.state])
                yield trial.number, Outcome(outcome), _last_value(trial)

    def _id(self, trial: int) -> int:
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
