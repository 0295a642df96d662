"""Opens the study of a sweep, and sees that it can go on with the config as it is now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage

from gan_core.config import ConfigError
from sweeps.chatter import without_chatter
from sweeps.mistakes import SweepConfigError, shown
from sweeps.objective import direction
from sweeps.pruner import make_pruner
from sweeps.settings import StudySettings
from sweeps.study_place import STUDY_NAME, Place, open_storage, study_name

__all__ = ["check_study", "load_study", "open_study"]

# What makes the values and seeds of two trials of a study comparable, by the config's key; each
# is a user attribute of the study, beside `_FIXED` for all else.
_OF_SETTINGS = {
    "search.objective": "objective",
    "search.seed": "seed",
    "train.seeds": "seeds",
    "train.steps": "steps",
    "train.eval_every": "eval_every",
}
_FIXED = "fixed"


def open_study(
    storage: BaseStorage, settings: StudySettings, name: str = STUDY_NAME
) -> optuna.Study:
    """The study of that name in the storage, or a new one.

    Raises:
        ConfigError: it was begun with settings whose values cannot be compared.
    """
    pruner = make_pruner(
        settings.pruner,
        steps=settings.steps,
        eval_every=settings.eval_every,
        keep=settings.pruner_keep,
    )
    wanted = direction(settings.objective)
    with without_chatter():
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction=wanted.value,
            pruner=pruner,
            load_if_exists=True,
        )
    _check_same(study, settings)
    for name in (*_OF_SETTINGS.values(), _FIXED):
        if name not in study.user_attrs:
            study.set_user_attr(name, getattr(settings, name))
    return study


def load_study(place: Place) -> optuna.Study | None:
    """The study in its place, to be looked at; None if there is none yet.

    Raises:
        SweepConfigError, DatabaseError: see `sweeps.database.open_database`.
    """
    if isinstance(place, Path) and not place.exists():
        return None
    try:
        return optuna.load_study(study_name=study_name(place), storage=open_storage(place))
    except KeyError:
        return None


def check_study(settings: StudySettings, place: Place, *, is_new: bool = False) -> None:
    """Sees that the study in its place, if there is one, can be continued with these settings.

    Args:
        settings: of the sweep.
        place: of its study.
        is_new: whether the sweep begins now, so that no study can be its own.

    Raises:
        ConfigError: it was begun with settings whose values cannot be compared, or is left in its
            database of a sweep that is no more.
        DatabaseError: its database cannot be reached.
    """
    study = load_study(place)
    if study is None:
        return
    if is_new and not isinstance(place, Path):  # whose directory is new, too
        right = (
            f"holds a study {place.name} of a sweep that lay here before: must be deleted, as by "
            "`optuna delete-study`, or the sweep get another name"
        )
        raise SweepConfigError("study", str(place.url), right)
    _check_same(study, settings)


def _check_same(study: optuna.Study, settings: StudySettings) -> None:
    for key, name in _OF_SETTINGS.items():
        value, before = getattr(settings, name), study.user_attrs.get(name)
        if before not in (None, value):
            raise _changed(key, value, f"with {shown(before)}")
    if _FIXED in study.user_attrs:
        # As the journal has it: lists for tuples.
        _check_fixed(study.user_attrs[_FIXED], json.loads(json.dumps(settings.fixed)))


def _check_fixed(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key, value in now.items():
        # A study of an earlier version knows nothing of a section's newer keys.
        if key in before and before[key] != value:
            raise _changed(key, value, f"with {shown(before[key])}")
        if key not in before and key.startswith("space."):
            raise _changed(key, value, "without it")
    for key in before:
        if key not in now:
            raise _changed(key, None, f"with {shown(before[key])}")


def _changed(key: str, value: Any, begun: str) -> ConfigError:
    right = f"this study was begun {begun}; another value needs a new sweep"
    return SweepConfigError(key, value, right)
