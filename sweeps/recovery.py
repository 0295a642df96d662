"""What the results know of a sweep and its study does not, put into the study.

The copy of a journal is half a minute old, or there is none. Everything that ended is in the
results, for rows are durable before the study is told. So a study that lacks it learns it from
them as it would have from the workers: the same values at the same steps, the same outcome.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from analysis.schema import HYPERPARAMETERS
from gan_core.config import NO_PENALTY
from sweeps.config import SweepConfig
from sweeps.continuation import open_study
from sweeps.journal import open_journal
from sweeps.objective import constraint, trial_value
from sweeps.protocol import Outcome
from sweeps.settings import StudySettings
from sweeps.space import Space
from sweeps.store import Store, TableName

__all__ = ["Recovered", "recover"]

# User attributes of a trial, as `sweeps.study` reads and writes them.
_HYPERPARAMETERS, _SEEDS, _OWNER, _OUTCOME = "hyperparameters", "seeds", "owner", "outcome"
_BASELINE = "baseline"
_FIXED = "fixed_params"  # Optuna's own, a system attribute

_AT_ONCE = 16  # parts that are read; an object store takes its time over each

_TRIALS = ("trial", "seed", "attempt", "status", "diverged_step", *HYPERPARAMETERS)
_KEYS = ("trial", "seed", "attempt", "rung")


@dataclass(frozen=True)
class Recovered:
    """How many trials a study learnt of."""

    ended: int = 0
    """Told as they ended."""
    begun: int = 0
    """Of which it knew nothing, or an earlier attempt only: they go on, or begin again."""

    def __str__(self) -> str:
        """For the person who resumes."""
        return (
            f"Taken from the results, which are newer than the study: {self.ended} trials that "
            f"had ended; {self.begun} had begun, and go on or begin again."
        )


@dataclass
class _Member:
    """One seed's rows of a trial's newest attempt."""

    row: dict[str, Any] | None = None
    """Of the table of trials."""
    values: dict[int, float] = field(default_factory=dict)
    """The objective by rung; NaN where it is not finite."""

    def at(self, rung: int) -> tuple[float, bool]:
        """The objective at a rung or where it fell before it, and whether it had diverged."""
        last = max((own for own in self.values if own <= rung), default=None)
        fell = self.row is not None and self.row["diverged_step"] is not None
        value = math.nan if last is None else self.values[last]
        return value, fell and rung >= max(self.values, default=0)


@dataclass
class _Trial:
    """What the results know of a trial."""

    attempt: int = -1
    members: dict[int, _Member] = field(default_factory=lambda: defaultdict(_Member))

    def newer(self, attempt: int) -> bool:
        """Whether rows of this attempt count, as far as is known by now."""
        if attempt > self.attempt:
            self.attempt = attempt
            self.members.clear()
        return attempt == self.attempt


def recover(config: SweepConfig, journal: Path, store: Store) -> Recovered:
    """Tells the study in the journal what it does not know yet; nobody else may have it open.

    Args:
        config: of the sweep.
        journal: which need not exist.
        store: of the sweep.

    Raises:
        StorageError: the results cannot be read.
        ConfigError: the study was begun with settings whose values cannot be compared.
    """
    known = _known(store, config.search.objective)
    for trial in store.kept_trials():
        known.setdefault(trial, _Trial(attempt=0))
    if not known:
        return Recovered()
    settings = config.settings()
    study = open_study(open_journal(journal), settings)
    study.sampler = RandomSampler(seed=settings.seed)
    return _Recovery(study, settings, Space(config), store).all(known)


class _Recovery:
    def __init__(
        self, study: optuna.Study, settings: StudySettings, space: Space, store: Store
    ) -> None:
        self._study, self._settings, self._space, self._store = study, settings, space, store
        self._storage = study._storage

    def all(self, known: Mapping[int, _Trial]) -> Recovered:
        """In the order of their numbers, which Optuna gives away one after the other."""
        trials = self._study.get_trials(deepcopy=False)
        ended = begun = 0
        for number in range(max(max(known) + 1, len(trials))):
            before = trials[number] if number < len(trials) else None
            if before is not None and before.state.is_finished():
                continue
            found = known.get(number)
            if before is not None and (found is None or not self._is_news(before, found)):
                continue
            trial = self._begun(number, before, found or _Trial())
            if found is not None and self._has_ended(found):
                self._finish(trial, found)
                ended += 1
            else:
                begun += 1
        return Recovered(ended, begun)

    def _is_news(self, before: FrozenTrial, found: _Trial) -> bool:
        attempt = before.user_attrs.get(_OWNER, {}).get("attempt", -1)
        # Rows of an attempt that another followed are those of nobody.
        return found.attempt > attempt or (found.attempt == attempt and self._has_ended(found))

    def _has_ended(self, found: _Trial) -> bool:
        seeds = [member for member in found.members.values() if member.row is not None]
        return len(seeds) >= self._settings.seeds

    def _begun(self, number: int, before: FrozenTrial | None, found: _Trial) -> Trial:
        """The trial as if it had just been given away for the newest attempt."""
        baselines = self._settings.baselines
        baseline = dict(baselines[number]) if number < len(baselines) else None
        if before is None:
            attributes = {} if baseline is None else {_BASELINE: baseline}
            self._study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs=attributes))
        trial_id = self._trial_id(number)
        if before is not None and before.state is TrialState.WAITING:
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        is_settled = before is not None and _HYPERPARAMETERS in before.user_attrs
        drawn = {} if is_settled else self._drawn(number, found)
        if not is_settled and (drawn or baseline):
            # It is asked for what it had, as a trial that was enqueued is.
            self._storage.set_trial_system_attr(trial_id, _FIXED, drawn or baseline)
        trial = Trial(self._study, trial_id)
        if drawn:
            trial.set_user_attr(_HYPERPARAMETERS, self._space.suggest(trial))
        if _SEEDS not in trial.user_attrs:
            trial.set_user_attr(_SEEDS, list(self._settings.seeds_of(number)))
        if found.attempt >= 0:
            owner = {"run": None, "worker": "", "breaks": 0, **trial.user_attrs.get(_OWNER, {})}
            trial.set_user_attr(_OWNER, {**owner, "attempt": found.attempt})
        return trial

    def _drawn(self, number: int, found: _Trial) -> dict[str, Any]:
        """Its hyperparameters, by its rows or by what was kept of it; empty if nothing says."""
        rows = (member.row for member in found.members.values() if member.row is not None)
        row = next(rows, None)
        if row is not None:
            drawn = {name: row[name] for name in HYPERPARAMETERS if row[name] is not None}
            return {"penalty": NO_PENALTY, **drawn}
        content = self._store.read_members(number)
        if content is None:
            return {}
        from gan_core.member_state import member_note  # torch, which takes seconds to import

        try:
            note = json.loads(member_note(content))
            return dict(note["hyperparameters"])
        except (KeyError, TypeError, ValueError):  # cut short, or another version's
            return {}

    def _finish(self, trial: Trial, found: _Trial) -> None:
        """As `StudyOwner` does when a worker says so."""
        trial_id = self._trial_id(trial.number)
        known = self._storage.get_trial(trial_id).intermediate_values
        values = dict(self._values(found))
        for step, value in values.items():
            if known.get(step) != value:
                self._storage.set_trial_intermediate_value(trial_id, step, value)
        rows = [member.row for member in found.members.values() if member.row is not None]
        last = values[max(values)] if values else math.nan
        diverged = sum(row["status"] == Outcome.DIVERGED for row in rows)
        outcome = _outcome(rows)
        sound = outcome is not Outcome.COMPLETE or (math.isfinite(last) and diverged < len(rows))
        share = self._settings.allowed_diverged_share
        excess = constraint(diverged if sound else len(rows), len(rows), share)
        if "diverged_share" not in self._storage.get_trial(trial_id).constraints:
            trial.set_constraint("diverged_share", excess)
        if outcome is not Outcome.FAILED and (excess > 0 or not sound):
            outcome = Outcome.DIVERGED
        trial.set_user_attr(_OUTCOME, outcome.value)
        match outcome:
            case Outcome.COMPLETE:
                self._study.tell(trial.number, last, TrialState.COMPLETE)
            case Outcome.FAILED:
                self._study.tell(trial.number, state=TrialState.FAIL)
            case _:
                self._study.tell(trial.number, state=TrialState.PRUNED)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)

    def _values(self, found: _Trial) -> Iterator[tuple[int, float]]:
        """What its worker reported, by step."""
        members = list(found.members.values())
        untrained = [member.values.get(0, math.nan) for member in members]
        for rung in range(1, max((max(m.values, default=0) for m in members), default=0) + 1):
            at = [member.at(rung) for member in members]
            value = trial_value([v for v, _ in at], [gone for _, gone in at], untrained)
            yield rung * self._settings.eval_every, value


def _outcome(rows: Sequence[Mapping[str, Any]]) -> Outcome:
    """How a trial ended, before it is judged by how many of its seeds diverged."""
    statuses = {Outcome(row["status"]) for row in rows}
    if Outcome.FAILED in statuses:
        return Outcome.FAILED
    return Outcome.PRUNED if Outcome.PRUNED in statuses else Outcome.COMPLETE


def _known(store: Store, objective: str) -> dict[int, _Trial]:
    """What the tables say, by trial."""
    known: dict[int, _Trial] = defaultdict(_Trial)
    # First: which attempt is the newest, in whatever table.
    tables = {
        TableName.TRIALS: _rows(store, TableName.TRIALS, _TRIALS),
        TableName.HISTORY: _rows(store, TableName.HISTORY, (*_KEYS, objective)),
    }
    for row in itertools.chain(*tables.values()):
        known[row["trial"]].newer(row["attempt"])
    for row in tables[TableName.TRIALS]:
        if known[row["trial"]].newer(row["attempt"]):
            known[row["trial"]].members[row["seed"]].row = row
    for row in tables[TableName.HISTORY]:
        if known[row["trial"]].newer(row["attempt"]):
            value = row[objective]
            values = known[row["trial"]].members[row["seed"]].values
            values[row["rung"]] = math.nan if value is None else value
    return dict(known)


def _rows(store: Store, table: TableName, columns: Iterable[str]) -> list[dict[str, Any]]:
    names = list(columns)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        parts = pool.map(lambda part: store.read_part(table, part, names), store.parts(table))
        found = [row for part in parts for row in part.to_pylist()]
    # Columns that an older version did not write are null.
    return [dict.fromkeys(names) | row for row in found]
