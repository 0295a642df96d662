"""A watch sees what is new, when it is new, and no more."""

from __future__ import annotations

import contextlib
import time

import pytest

from sweeps import watching
from sweeps.lock import SweepLock
from sweeps.store import Store
from sweeps.watching import each_change


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "trials").mkdir()
    (tmp_path / "sweep.toml").write_text("a = 1")
    return tmp_path


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a watch sleeps; at given times something happens."""

    class Clock:
        now = 0.0

        def __init__(self):
            self.events = []
            monkeypatch.setattr(watching.time, "monotonic", lambda: self.now)
            monkeypatch.setattr(watching.time, "sleep", self.sleep)

        def sleep(self, seconds):
            self.now += seconds
            while self.events and self.events[0][0] <= self.now:
                self.events.pop(0)[1]()

    return Clock()


class OverError(Exception):
    """The time of a test is up."""


def times(directory, clock, every, *events, until=100.0):
    """When a watch of so long yields, if these things happen at their times."""

    def end():
        raise OverError

    clock.events = [*events, (until, end)]
    found: list[float] = []
    with contextlib.suppress(OverError):
        for _ in each_change(Store(directory), every):
            found.append(clock.now)
    return found


def test_a_sweep_that_rests_is_seen_once(directory, clock):
    assert times(directory, clock, 5) == [0]


def test_a_new_part_a_changed_config_and_a_part_that_is_gone_are_seen(directory, clock):
    part = directory / "trials" / "a.parquet"
    found = times(
        directory,
        clock,
        5,
        (20, lambda: part.write_bytes(b"1")),
        (40, lambda: (directory / "sweep.toml").write_text("a = 22")),
        (60, part.unlink),
    )
    assert found == [0, 20, 40, 60]


def test_what_comes_close_together_is_seen_together(directory, clock):
    parts = [
        (at, lambda at=at: (directory / "trials" / f"{at}.parquet").write_bytes(b"1"))
        for at in (11, 12, 13, 20, 21)
    ]
    assert times(directory, clock, 10, *parts) == [0, 11, 21]


def test_the_time_that_writing_takes_counts(directory, clock):
    changes = each_change(Store(directory), 10)
    next(changes)
    clock.now += 8
    clock.events = [(8.5, lambda: (directory / "trials" / "a.parquet").write_bytes(b"1"))]
    next(changes)
    assert clock.now == 10
    clock.now += 30
    clock.events = [(40.5, lambda: (directory / "trials" / "b.parquet").write_bytes(b"1"))]
    next(changes)
    assert clock.now == 40.5


def test_files_that_nobody_reads_are_not_seen(directory, clock):
    found = times(
        directory,
        clock,
        5,
        (20, lambda: (directory / "trials" / ".tmp.parquet").write_bytes(b"1")),
        (30, lambda: (directory / "report.html").write_text("page")),
    )
    assert found == [0]


def test_the_begin_and_the_end_of_a_run_are_seen(directory, clock):
    lock = SweepLock(directory)
    found = times(
        directory,
        clock,
        5,
        (20, lock.__enter__),
        (40, lambda: lock.__exit__(None, None, None)),
    )
    assert found == [0, 20, 40]


def test_time_is_really_waited_for(directory):
    changes = each_change(Store(directory), 0.2)
    begun = time.monotonic()
    next(changes)
    (directory / "trials" / "a.parquet").write_bytes(b"1")
    next(changes)
    assert 0.2 <= time.monotonic() - begun < 2
