"""Opens the study of a sweep, and sees that it can go on with the config as it is now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage

from gan_core.config import ConfigError
from sweeps.journal import open_journal
from sweeps.mistakes import SweepConfigError, shown
from sweeps.objective import direction
from sweeps.pruner import make_pruner
from sweeps.settings import StudySettings

__all__ = ["STUDY_NAME", "check_study", "open_study"]

STUDY_NAME = "gansweep"
"""Of the one study in a sweep's journal."""

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


def open_study(storage: JournalStorage, settings: StudySettings) -> optuna.Study:
    """The study in the storage, or a new one.

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
    with _without_chatter():
        study = optuna.create_study(
            storage=storage,
            study_name=STUDY_NAME,
            direction=wanted.value,
            pruner=pruner,
            load_if_exists=True,
        )
    _check_same(study, settings)
    for name in (*_OF_SETTINGS.values(), _FIXED):
        if name not in study.user_attrs:
            study.set_user_attr(name, getattr(settings, name))
    return study


def check_study(settings: StudySettings, journal: Path) -> None:
    """Sees that the study in the journal, if there is one, can be continued with these settings.

    Raises:
        ConfigError: it was begun with settings whose values cannot be compared.
    """
    if not journal.exists():
        return
    storage = open_journal(journal)
    if any(study.study_name == STUDY_NAME for study in storage.get_all_studies()):
        _check_same(optuna.load_study(study_name=STUDY_NAME, storage=storage), settings)


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


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keeps Optuna from announcing on stderr that it made or found a study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
