"""What a study's storage may do that is nobody's mistake: fail, and come back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from optuna.exceptions import StorageInternalError

from sweeps.database import DatabaseError, reason
from sweeps.store import StorageError

__all__ = ["OUTAGE_S", "Lifeline", "is_outage"]

OUTAGE_S = 60.0
"""Seconds for which a storage that fails is tried again: a database is restarted in less."""

_POLL_S = 0.5

_Result = TypeVar("_Result")


def is_outage(error: BaseException) -> bool:
    """Whether the storage failed, and not what was asked of it."""
    library = type(error).__module__.partition(".")[0]
    is_known = isinstance(error, StorageInternalError | DatabaseError | OSError)
    return is_known or library in ("sqlalchemy", "psycopg")


class Lifeline:
    """Goes on after the storage has failed: opens it anew, and does what was being done again.

    Args:
        reopen: opens the storage and recalls what it holds. Nothing in memory is to be trusted
            after a failure: the write that failed may have been made, in whole or in part.
        outage_s: how long to try.
    """

    def __init__(self, reopen: Callable[[], None], outage_s: float) -> None:
        self._reopen = reopen
        self._outage_s = outage_s
        self._is_open = False

    def through(self, call: Callable[[], _Result]) -> _Result:
        """What a call returns, which may be repeated.

        Raises:
            StorageError: the storage failed for too long.
        """
        end: float | None = None
        while True:
            try:
                if not self._is_open:
                    self._reopen()
                    self._is_open = True
                return call()
            except Exception as error:
                if not is_outage(error):
                    raise
                self._is_open = False
                now = time.monotonic()
                end = end or now + self._outage_s
                if now > end:
                    raise StorageError(f"the study cannot be written: {reason(error)}") from error
            time.sleep(min(_POLL_S, self._outage_s))
