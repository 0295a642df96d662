"""Where a sweep's study lies, and the way to it: a journal beside the results, or a database."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.mistakes import SweepConfigError
from sweeps.study_url import JOURNAL, StudyUrl

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from sweeps.mirror import Mirror

__all__ = [
    "STUDY_NAME",
    "DatabaseStudy",
    "Place",
    "open_own_storage",
    "open_storage",
    "study_name",
    "study_place",
]

STUDY_NAME = "gansweep"
"""Of the one study in a sweep's journal."""

_NOTE_NAME = "study.json"


@dataclass(frozen=True)
class DatabaseStudy:
    """A study in PostgreSQL."""

    url: StudyUrl
    name: str
    """Of the study, unlike that of any other sweep in the database."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What PostgreSQL's library finds in the environment: PGPASSWORD and the like, as the driver
    has them. The owner of the study is a process of Ray, which has another one."""


Place = Path | DatabaseStudy
"""A journal's path, or a study in a database."""


def study_place(study: str, journal: Path, *, name: str, location: str) -> Place:
    """Where the sweep's study lies, or will.

    A note in the journal's place says what a study in a database is called there: so a sweep
    finds it again after its directory was moved.

    Args:
        study: of the config.
        journal: of a study that lies in one.
        name: the sweep's.
        location: of its results, unlike any other sweep's.

    Raises:
        SweepConfigError: the study was begun in the other kind of place.
    """
    note = journal.with_name(_NOTE_NAME)
    known = json.loads(note.read_text(encoding="utf-8")) if note.exists() else None
    if not isinstance(study, StudyUrl):
        if known is not None:
            right = f'its study is in a database: must be "{known["url"]}"'
            raise SweepConfigError("study", study, right)
        return journal
    if journal.exists():
        right = f'its study is in its journal: must be "{JOURNAL}"'
        raise SweepConfigError("study", str(study), right)
    called = f"{name}-{hashlib.sha256(location.encode()).hexdigest()[:12]}"
    if known is not None:
        called = known["name"]
    written = json.dumps({"url": str(study), "name": called})
    temporary = note.with_name(f".{_NOTE_NAME}")
    temporary.write_text(written, encoding="utf-8")
    temporary.replace(note)
    variables = {key: value for key, value in os.environ.items() if key.startswith("PG")}
    return DatabaseStudy(study, called, variables)


def study_name(place: Place) -> str:
    """What the study is called in its place."""
    return STUDY_NAME if isinstance(place, Path) else place.name


def open_storage(place: Place) -> BaseStorage:
    """Optuna's storage there, to look at."""
    # Only now: a mistake in a config is answered before Optuna is imported.
    if isinstance(place, Path):
        from sweeps.journal import open_journal

        return open_journal(place)
    from sweeps.database import open_database

    return open_database(place)


def open_own_storage(place: Place) -> Mirror:
    """Optuna's storage there, to be its only writer; made if it does not exist.

    In a database it is locked; who may write to a journal is settled by a lock beside it.
    """
    if isinstance(place, Path):
        from sweeps.journal import open_journal
        from sweeps.mirror import Mirror

        journal = open_journal(place)
        return Mirror(journal, STUDY_NAME, together=journal.together, share=journal.take_over)
    from sweeps.database import own_database

    return own_database(place)
