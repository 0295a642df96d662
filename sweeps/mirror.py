"""A storage that one process alone writes to, with all of it in memory: reading costs nothing.

Optuna's samplers read the whole study for every proposal, and our pruner for every judgement. In
a database that is a query each, of every trial in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.chatter import without_chatter

__all__ = ["Mirror"]


class Mirror(InMemoryStorage):
    """One study of a storage. Everything is written there first, and only then here.

    So what it holds was acknowledged, and a write that fails leaves it behind at most: make a new
    one then.

    Args:
        behind: where the study lies. Nobody else may write to the study.
        name: of the study, which may not exist yet.
        together: makes what is written in a block durable when it ends, not at each write.
        close: lets go of what lies behind.
        share: gives what lies behind a trial that has ended, to hold instead of one of its own.
    """

    def __init__(
        self,
        behind: BaseStorage,
        name: str,
        *,
        together: Callable[[], AbstractContextManager[None]] = nullcontext,
        close: Callable[[], None] = lambda: None,
        share: Callable[[FrozenTrial], None] = lambda trial: None,
    ) -> None:
        super().__init__()
        self.together, self.close = together, close
        self._behind, self._share = behind, share
        self._distributions: dict[str, BaseDistribution] = {}
        self._name = name
        self._ids: list[int] = []
        self._study_behind = -1
        for study in behind.get_all_studies():
            if study.study_name == name:
                self._take_in(study._study_id, study.directions)

    def _take_in(self, study_behind: int, directions: Sequence[StudyDirection]) -> None:
        self._study_behind = study_behind
        with without_chatter():
            study_id = super().create_new_study(directions, self._name)
        for key, value in self._behind.get_study_user_attrs(study_behind).items():
            super().set_study_user_attr(study_id, key, value)
        for key, value in self._behind.get_study_system_attrs(study_behind).items():
            super().set_study_system_attr(study_id, key, value)
        trials = self._behind.get_all_trials(study_behind, deepcopy=False)
        for trial in sorted(trials, key=lambda trial: trial.number):
            self._ids.append(trial._trial_id)
            taken_in = self.get_trial(super().create_new_trial(study_id, trial))
            taken_in.distributions = {
                param: self._one(param, each) for param, each in taken_in.distributions.items()
            }
            self._share_ended(taken_in)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """The one study: begun behind."""
        self._study_behind = self._behind.create_new_study(directions, study_name)
        return super().create_new_study(directions, study_name)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Behind, and here."""
        self._behind.set_study_user_attr(self._study_behind, key, value)
        super().set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Behind, and here."""
        self._behind.set_study_system_attr(self._study_behind, key, value)
        super().set_study_system_attr(study_id, key, value)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Behind, and here; ids count from 0 here, as numbers do."""
        self._ids.append(self._behind.create_new_trial(self._study_behind, template_trial))
        return super().create_new_trial(study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Behind, and here."""
        behind = self._ids[trial_id]
        self._behind.set_trial_param(behind, param_name, param_value_internal, distribution)
        one = self._one(param_name, distribution)
        super().set_trial_param(trial_id, param_name, param_value_internal, one)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Behind, and here."""
        self._behind.set_trial_state_values(self._ids[trial_id], state, values)
        is_set = super().set_trial_state_values(trial_id, state, values)
        self._share_ended(self.get_trial(trial_id))
        return is_set

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Behind, and here."""
        self._behind.set_trial_intermediate_value(self._ids[trial_id], step, intermediate_value)
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Behind, and here."""
        self._behind.set_trial_user_attr(self._ids[trial_id], key, value)
        super().set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Behind, and here."""
        self._behind.set_trial_system_attr(self._ids[trial_id], key, value)
        super().set_trial_system_attr(trial_id, key, value)

    def _one(self, param: str, distribution: BaseDistribution) -> BaseDistribution:
        """An equal distribution, the same one for all trials of a study."""
        if self._distributions.get(param) != distribution:
            self._distributions[param] = distribution
        return self._distributions[param]

    def _share_ended(self, trial: FrozenTrial) -> None:
        """It changes no more, so one object is enough for here and behind."""
        if trial.state.is_finished() and self._ids[trial._trial_id] == trial._trial_id:
            self._share(trial)
