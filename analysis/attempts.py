"""Which rows count of trials that were begun more than once.

A trial that was begun again has rows of several attempts. Of each member (and rung) the last
attempt counts; history of an older attempt than its trial's newest is dropped whole, since the
rungs of a dead attempt beyond those of the living one never happened in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Newest", "last_attempts"]


class Newest:
    """The newest attempt at each trial, as far as some tables know.

    Args:
        tables: each with `trial` and `attempt`.
    """

    def __init__(self, *tables: Mapping[str, Any] | pd.DataFrame) -> None:
        trials = np.concatenate([np.asarray(table["trial"]) for table in tables])
        attempts = np.concatenate([np.asarray(table["attempt"]) for table in tables])
        again = attempts > 0  # few, if any
        self._trials, position = np.unique(trials[again], return_inverse=True)
        self._attempts = np.zeros(len(self._trials), attempts.dtype)
        np.maximum.at(self._attempts, position, attempts[again])

    def includes(self, trial: np.ndarray, attempt: np.ndarray) -> np.ndarray:
        """Whether each is its trial's newest: [rows]."""
        if not len(self._trials):
            return np.ones(len(trial), bool)
        position = np.searchsorted(self._trials, trial).clip(max=len(self._trials) - 1)
        newest = np.where(self._trials[position] == trial, self._attempts[position], 0)
        return attempt == newest


def last_attempts(
    keys: Mapping[str, np.ndarray], by: Sequence[str], newest: Newest | None = None
) -> np.ndarray:
    """The last attempt's row of each, of equals the last one read.

    Args:
        keys: `trial`, `attempt` and what is in `by`: [rows] each.
        by: names of keys that tell rows apart and sort them.
        newest: rows of other attempts are left out.

    Returns:
        Indices of rows, sorted by the keys.
    """
    attempt = keys["attempt"]
    order = np.lexsort([attempt, *(keys[name] for name in reversed(by))])
    if newest is not None:
        current = newest.includes(keys["trial"], attempt)
        order = order[current[order]]
    changes = np.zeros(max(0, len(order) - 1), bool)
    for name in by:
        column = keys[name][order]
        changes |= column[1:] != column[:-1]
    return order[np.append(changes, True)] if len(order) else order
