"""A study in PostgreSQL: Optuna's own tables, which its other tools can read too.

Its owner has one connection, and that holds a lock of PostgreSQL's by the study's name for as
long as it lives. So whoever lost the lock, with its connection, has no way to write: a second
owner that took over meanwhile cannot be disturbed by one that was only cut off.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage

from sweeps.mirror import Mirror
from sweeps.mistakes import SweepConfigError, SweepFailure
from sweeps.study_place import DatabaseStudy
from sweeps.study_url import redacted

__all__ = ["DatabaseError", "open_database", "own_database", "reason"]

_DIALECT = "postgresql+psycopg://"
_CONNECTS_WITHIN_S = 10
_OWNED_WITHIN_S = 60.0
_POLL_S = 0.2

# Both ends find out within a minute that the other one is gone: the server, to give the lock of
# an owner whose machine died to the next one, would otherwise wait for two hours.
_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_SERVER = " ".join(f"-c tcp_{name}={value}" for name, value in _ALIVE.items())


class DatabaseError(SweepFailure):
    """The database does not answer, or refuses; the message is one line."""


def open_database(study: DatabaseStudy) -> BaseStorage:
    """Optuna's storage in the database, to look at; its tables are made if they are not there.

    Raises:
        SweepConfigError: psycopg is not installed.
        DatabaseError: the database refuses or cannot be reached.
    """
    from sqlalchemy.pool import NullPool

    connect = _connector(study, own=False)
    with _told(study):
        return get_storage(RDBStorage(_DIALECT, {"creator": connect, "poolclass": NullPool}))


def own_database(study: DatabaseStudy) -> Mirror:
    """The study's storage in the database, to be its only writer.

    Raises:
        SweepConfigError: psycopg is not installed.
        DatabaseError: the database refuses or cannot be reached, or another process owns the
            study, and does for a minute.
    """
    open_database(study)
    with _told(study):
        storage = _owned(study)
        return Mirror(storage, study.name, close=storage.engine.dispose)


def _owned(study: DatabaseStudy) -> RDBStorage:
    """On a single connection. Its tables are there; to make them, Optuna would take a second."""
    connect = _connector(study, own=True)
    end = time.monotonic() + _OWNED_WITHIN_S
    while True:
        try:
            return RDBStorage(
                _DIALECT,
                # What replaces a connection that was cut gets the lock again, or fails.
                {"creator": connect, "pool_pre_ping": True, "pool_size": 1, "max_overflow": 0},
                skip_compatibility_check=True,
                skip_table_creation=True,
            )
        except _OwnedError:
            if time.monotonic() > end:
                raise
            time.sleep(_POLL_S)


class _OwnedError(DatabaseError):
    """Another process owns the study."""


def _connector(study: DatabaseStudy, *, own: bool) -> Callable[[], Any]:
    try:
        import psycopg
    except ImportError:
        right = 'needs psycopg: pip install "gansweep[postgresql]"'
        raise SweepConfigError("study", str(study.url), right) from None
    options: dict[str, Any] = {"connect_timeout": _CONNECTS_WITHIN_S, **_ALIVE}
    if "options=" not in study.url:
        options["options"] = _SERVER
    options |= {"application_name": f"gansweep {study.name}"[:63], **study.url.secrets}

    def connect() -> Any:
        # They hold for this process alone; its own win.
        os.environ.update({k: v for k, v in study.variables.items() if k not in os.environ})
        connection = psycopg.connect(str(study.url), **options)
        if own:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_key(study.name)])
            is_ours = row.fetchone()
            connection.commit()
            if is_ours != (True,):
                connection.close()
                raise _OwnedError(f"{study.url}: another process owns the study {study.name}")
        return connection

    return connect


def _key(name: str) -> int:
    """The study's lock, among the advisory locks of the database: a signed number of 64 bits."""
    return int.from_bytes(hashlib.sha256(f"gansweep/{name}".encode()).digest()[:8], signed=True)


@contextmanager
def _told(study: DatabaseStudy) -> Iterator[None]:
    """Turns what the database's library raises into one line."""
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (psycopg.Error, SQLAlchemyError, StorageInternalError) as error:
        raise DatabaseError(f"{study.url}: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """The innermost cause of a failure of the database, in one line and without secrets."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = redacted(lines[0] if lines else type(error).__name__)
    return f"{told}: PGPASSWORD or ~/.pgpass may hold it" if "no password" in told else told
