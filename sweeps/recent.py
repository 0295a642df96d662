"""What a sampler sees of a long study: its best trials and its last ones.

The cost of a proposal grows with the trials that it is drawn from; TPE's is 0.1 s and more at
5,000 of them. It learns little from most: of n trials it takes the best, 25 at most, for good
ones, and gives the others a weight that grows linearly from 1 / n for the oldest (Optuna's
`default_gamma` and `default_weights`). So the best are all kept, and of the others the last ones,
which carry most of the weight.
"""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Container
from operator import attrgetter
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

__all__ = ["BEST", "SEEN", "RecentTrials"]

SEEN = 1000
"""Finished trials that a sampler is shown; a tenth more before the oldest go."""

BEST = 100
"""Of them those that are the best of the older ones: more than TPE takes for good."""


class RecentTrials:
    """A storage, of whose finished trials not all are shown; to whom it is shown may write, too.

    Trials that run or wait are always shown. It costs as much as there are trials to show.

    Args:
        storage: in which reading costs nothing. Trials are begun through this class alone.
        study_id: of the one study.
        seen: finished trials that are shown.
        best: of them the best ones.
    """

    def __init__(
        self, storage: BaseStorage, study_id: int, seen: int = SEEN, best: int = BEST
    ) -> None:
        self._storage = storage
        (direction,) = storage.get_study_directions(study_id)
        self._sign = -1 if direction is StudyDirection.MAXIMIZE else 1
        self._seen, self._best = seen, best
        self._ended: list[FrozenTrial] = []
        self._open = [t._trial_id for t in storage.get_all_trials(study_id, deepcopy=False)]

    def __getattr__(self, name: str) -> Any:
        """All else is the storage's."""
        return getattr(self._storage, name)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begins a trial."""
        trial_id = self._storage.create_new_trial(study_id, template_trial)
        self._open.append(trial_id)
        return trial_id

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials that are shown, by number."""
        unended = self._sort_out()
        if len(self._ended) > self._seen + self._seen // 10:
            self._forget()
        shown = sorted(self._ended + unended, key=attrgetter("number"))
        if states is not None:
            shown = [trial for trial in shown if trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown

    def _sort_out(self) -> list[FrozenTrial]:
        """Takes note of the trials that have ended; returns the others."""
        trials = [self._storage.get_trial(trial_id) for trial_id in self._open]
        self._ended += [trial for trial in trials if trial.state.is_finished()]
        unended = [trial for trial in trials if not trial.state.is_finished()]
        self._open = [trial._trial_id for trial in unended]
        return unended

    def _forget(self) -> None:
        ended = sorted(self._ended, key=attrgetter("number"))
        last = self._seen - self._best
        best = heapq.nsmallest(self._best, ended[:-last], key=self._place)
        self._ended = best + ended[-last:]

    def _place(self, trial: FrozenTrial) -> tuple[float, float, float]:
        """The order in which TPE takes trials for good."""
        excess = sum(max(0.0, value) for value in trial.constraints.values())
        if excess > 0 or trial.state is TrialState.FAIL:
            return 2, excess, 0
        if trial.state is TrialState.COMPLETE:
            assert trial.value is not None
            return 0, self._sign * trial.value, 0
        if trial.last_step is None:
            return 1, 0, 0
        value = self._sign * trial.intermediate_values[trial.last_step]
        return 1, -trial.last_step, math.inf if math.isnan(value) else value
