import errno

import pytest
from optuna.exceptions import StorageInternalError

from sweeps.outage import Lifeline, is_outage
from sweeps.store import StorageError


class Storage:
    """Fails so many times."""

    def __init__(self, failures, error):
        self.failures, self.error, self.opened = failures, error, 0

    def open(self):
        self.opened += 1

    def write(self):
        if self.failures:
            self.failures -= 1
            raise self.error
        return "written"


def test_what_failed_is_done_again_on_a_storage_that_is_opened_anew():
    storage = Storage(2, OSError(errno.ENOSPC, "No space left on device"))
    line = Lifeline(storage.open, outage_s=60)
    assert line.through(storage.write) == "written"
    assert storage.opened == 3
    assert line.through(storage.write) == "written"
    assert storage.opened == 3


def test_a_failure_that_lasts_is_told_in_one_line():
    storage = Storage(1000, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StorageError, match=r"the study cannot be written: .*No space left"):
        Lifeline(storage.open, outage_s=0.0).through(storage.write)


def test_a_mistake_is_no_outage():
    storage = Storage(1, KeyError("x"))
    with pytest.raises(KeyError):
        Lifeline(storage.open, outage_s=60).through(storage.write)
    assert not is_outage(ValueError())
    assert is_outage(StorageInternalError())
