import dataclasses
import logging

import pytest

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig
from sweeps.held import HeldTrial, gan_config
from sweeps.keeping import Keeper
from sweeps.protocol import Assignment
from sweeps.rows import Progress
from sweeps.store import StorageError, Store

ASSIGNMENT = Assignment(3, 0, {"latent_dim": 4}, (6,))
AGAIN = dataclasses.replace(ASSIGNMENT, attempt=1)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Slow(Store):
    """Takes its time; counts what it writes."""

    def __init__(self, directory, clock, takes_s=0.0):
        super().__init__(directory)
        self.clock, self.takes_s, self.written = clock, takes_s, 0

    def write_members(self, trial, content):
        super().write_members(trial, content)
        self.clock.now += self.takes_s
        self.written += 1


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cohort(digits):
    config = CohortConfig(generator_widths=(8,), discriminator_widths=(8,), latent_dim=4)
    return Cohort(config, digits.sample_shape, slots=2)


@pytest.fixture
def held(cohort):
    members = cohort.admit([gan_config(ASSIGNMENT, 6)])
    progress = Progress(trial=3, attempt=0, seed=6, hyperparameters={}, rung=1)
    return HeldTrial(ASSIGNMENT, [(progress, members[0])])


def at(keeper, clock, seconds, cohort, held, **options):
    """A rung at this time."""
    clock.now = seconds
    held.seeds[0][0].rung += 1
    keeper.keep(cohort, [held], **options)


def test_it_keeps_at_the_first_rung_after_so_many_seconds(tmp_path, clock, cohort, held):
    store = Slow(tmp_path, clock)
    keeper = Keeper(store, 60.0, clock)
    written = []
    for seconds in (1, 59, 61, 100, 120, 122, 400):
        at(keeper, clock, seconds, cohort, held)
        written.append(store.written)
    assert written == [0, 0, 1, 1, 1, 2, 3]


def test_without_a_pause_it_keeps_at_every_rung(tmp_path, clock, cohort, held):
    store = Slow(tmp_path, clock, takes_s=5.0)
    keeper = Keeper(store, 0.0, clock)
    for seconds in (0, 5, 10):
        at(keeper, clock, seconds, cohort, held)
    assert store.written == 3


def test_a_slow_storage_is_used_a_twentieth_of_the_time(tmp_path, clock, cohort, held):
    store = Slow(tmp_path, clock, takes_s=10.0)
    keeper = Keeper(store, 60.0, clock)
    at(keeper, clock, 60, cohort, held)
    for seconds in (130, 269):
        at(keeper, clock, seconds, cohort, held)
        assert store.written == 1
    at(keeper, clock, 271, cohort, held)
    assert store.written == 2


def test_the_last_chance_is_taken_unless_nothing_is_kept_at_all(tmp_path, clock, cohort, held):
    store = Slow(tmp_path, clock)
    at(Keeper(store, None, clock), clock, 1000, cohort, held, now=True)
    assert store.written == 0
    at(Keeper(store, 60.0, clock), clock, 1, cohort, held, now=True)
    assert store.written == 1


def test_only_what_has_trained_since_is_kept(tmp_path, clock, cohort, held):
    store = Slow(tmp_path, clock)
    keeper = Keeper(store, 0.0, clock)
    keeper.keep(cohort, [held])
    keeper.keep(cohort, [held])
    assert store.written == 1
    held.seeds[0][0].rung = 0  # another that has not trained yet
    Keeper(store, 0.0, clock).keep(cohort, [held])
    assert store.written == 1


def test_what_was_kept_is_taken_up_by_another_and_not_written_before_it_has_trained(
    tmp_path, clock, cohort, held
):
    Keeper(Store(tmp_path), 0.0, clock).keep(cohort, [held])
    store = Slow(tmp_path, clock)
    other = Keeper(store, 0.0, clock)
    taken = other.take_up(cohort, AGAIN)
    assert (taken.rung, len(cohort.members)) == (1, 2)
    other.keep(cohort, [taken])
    assert store.written == 0


def test_a_trial_that_nobody_had_before_begins(tmp_path, clock, cohort, held):
    Keeper(Store(tmp_path), 0.0, clock).keep(cohort, [held])
    keeper = Keeper(Store(tmp_path), 0.0, clock)
    assert keeper.take_up(cohort, ASSIGNMENT) is None  # a leftover under its number
    assert keeper.take_up(cohort, dataclasses.replace(AGAIN, trial=4)) is None


def test_what_is_not_the_trials_is_said_and_passed_over(tmp_path, clock, cohort, held, caplog):
    Keeper(Store(tmp_path), 0.0, clock).keep(cohort, [held])
    other = dataclasses.replace(AGAIN, seeds=(8,))
    assert Keeper(Store(tmp_path), 0.0, clock).take_up(cohort, other) is None
    assert "trial 3 begins anew" in caplog.text


def test_what_the_disk_has_changed_is_said_and_passed_over(tmp_path, clock, cohort, held, caplog):
    Keeper(Store(tmp_path), 0.0, clock).keep(cohort, [held])
    (path,) = (tmp_path / "members").iterdir()
    content = bytearray(path.read_bytes())
    content[-9] ^= 1  # a bit of a parameter
    path.write_bytes(content)
    assert Keeper(Store(tmp_path), 0.0, clock).take_up(cohort, AGAIN) is None
    assert "trial 3 begins anew: what was kept is damaged" in caplog.text
    assert len(cohort.members) == 1


def test_what_comes_back_and_begins_again_is_kept_again(tmp_path, clock, cohort, held):
    store = Slow(tmp_path, clock)
    keeper = Keeper(store, 0.0, clock)
    held.seeds[0][0].rung = 5
    keeper.keep(cohort, [held])
    store.drop_members([3])
    assert keeper.take_up(cohort, AGAIN) is None
    held.seeds[0][0].rung = 1
    keeper.keep(cohort, [held])
    assert store.written == 2


def test_dropped_trials_leave_nothing(tmp_path, clock, cohort, held):
    keeper = Keeper(Store(tmp_path), 0.0, clock)
    keeper.keep(cohort, [held])
    keeper.drop([3, 4])
    keeper.drop([3])
    assert keeper.take_up(cohort, AGAIN) is None
    assert list((tmp_path / "members").iterdir()) == []


class Full(Store):
    """Takes no members."""

    def write_members(self, trial, content):
        raise StorageError(f"cannot write trial {trial}: No space left on device")

    def drop_members(self, trials):
        raise StorageError("cannot remove it: Read-only file system")


def test_a_storage_that_takes_no_members_is_said_and_stops_nothing(
    tmp_path, clock, cohort, held, caplog
):
    keeper = Keeper(Full(tmp_path), 60.0, clock)
    with caplog.at_level(logging.WARNING):
        at(keeper, clock, 61, cohort, held)
        keeper.drop([3])
    assert "trial 3: No space left on device" in caplog.text
    assert "Read-only file system" in caplog.text
    keeper = Keeper(Store(tmp_path), 0.0, clock)
    assert keeper.take_up(cohort, AGAIN) is None
