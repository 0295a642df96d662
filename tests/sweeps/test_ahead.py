import threading
import time

import pytest

from sweeps.ahead import AT_ONCE_S, Ahead
from sweeps.ledger import Ticket


class Sampler:
    """Draws tickets, each for so long."""

    def __init__(self, seconds=0.0):
        self.seconds, self.drawn, self.fails = seconds, 0, None
        self.together = 0

    def __call__(self):
        self.together += 1
        assert self.together == 1
        time.sleep(self.seconds)
        self.together -= 1
        if self.fails is not None:
            raise self.fails
        self.drawn += 1
        return Ticket(trial=self.drawn - 1, hyperparameters={}, seeds=())


@pytest.fixture
def begin():
    begun = []

    def make(*arguments):
        begun.append(Ahead(*arguments, clock=time.monotonic))
        return begun[-1]

    yield make
    for ahead in begun:
        ahead.end()


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_machine_that_is_busy_does_not_make_the_sampler_slow():
    ahead = Ahead(Sampler(5 * AT_ONCE_S), 8)
    assert len(ahead.at_once(3)) == 3


def test_the_first_which_imports_libraries_is_no_measure_of_the_others(begin):
    sampler = Sampler(5 * AT_ONCE_S)
    ahead = begin(sampler, 8)
    assert len(ahead.at_once(1)) == 1
    sampler.seconds = 0.0
    assert len(ahead.at_once(20)) == 20


def test_who_has_nothing_else_to_do_gets_all(begin):
    ahead = begin(Sampler(AT_ONCE_S), 8)
    assert len(ahead.at_once(3)) < 3
    assert len(ahead.at_once(3, patient=True)) == 3


def test_without_a_thread_all_are_drawn_at_once(begin):
    ahead = begin(Sampler(AT_ONCE_S), 0)
    assert [ticket.trial for ticket in ahead.at_once(3)] == [0, 1, 2]
    ahead.aim(ready=0, left=10, wanted=10)
    assert ahead.underway == 0


def test_what_is_quickly_drawn_is_drawn_when_it_is_asked_for(begin):
    sampler = Sampler()
    ahead = begin(sampler, 8)
    assert len(ahead.at_once(20)) == 20
    ahead.aim(ready=0, left=10, wanted=20)
    assert ahead.underway == 0
    assert sampler.drawn == 20


def test_what_takes_long_is_made_ready_up_to_what_is_left_and_no_more(begin):
    sampler = Sampler(5 * AT_ONCE_S)
    ahead = begin(sampler, 4)
    assert len(ahead.at_once(20)) < 20
    taken = sampler.drawn
    ahead.aim(ready=0, left=100, wanted=10)
    wait_for(lambda: sampler.drawn == taken + 4)
    ahead.aim(ready=0, left=96, wanted=10)  # all are underway already
    assert [ticket.trial for ticket in ahead.collect()] == list(range(taken, taken + 4))
    ahead.aim(ready=3, left=1, wanted=10)
    wait_for(lambda: sampler.drawn == taken + 5)
    assert len(ahead.collect()) == 1
    ahead.aim(ready=4, left=0, wanted=10)
    assert ahead.underway == 0


def test_while_the_thread_draws_nobody_waits_for_it(begin):
    held = threading.Event()
    sampler = Sampler(5 * AT_ONCE_S)
    ahead = begin(sampler, 1)
    ahead.at_once(2)

    def draw_long():
        held.wait(60)
        return Ticket(trial=9, hyperparameters={}, seeds=())

    ahead._draw = draw_long
    ahead.aim(ready=0, left=1, wanted=1)
    wait_for(ahead._drawing.locked)
    assert ahead.at_once(1) == []
    assert ahead.collect() == []
    assert ahead.underway == 1  # so that nobody begins it again
    held.set()
    wait_for(lambda: [ticket.trial for ticket in ahead.collect()] == [9])


def test_a_failure_in_the_thread_is_raised_to_who_collects(begin):
    sampler = Sampler(5 * AT_ONCE_S)
    ahead = begin(sampler, 2)
    ahead.at_once(2)
    sampler.fails = OSError("no")
    ahead.aim(ready=0, left=5, wanted=5)
    wait_for(lambda: ahead._error is not None)
    with pytest.raises(OSError, match="no"):
        ahead.collect()
    assert ahead.collect() == []
