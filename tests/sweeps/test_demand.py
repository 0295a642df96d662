"""Tune's scheduler as Tune calls it, on a list of workers."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial

from sweeps.demand import MEMBER_STEPS, ROOM, Demand


@dataclass
class Worker:
    status: str
    num_failures: int = 0
    last_result: dict = field(default_factory=dict)
    run_metadata: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(start_time=None))


class Controller:
    def __init__(self, *workers):
        self.workers = list(workers)

    def get_trials(self):
        return self.workers

    def stop_trial(self, worker):
        worker.status = "TERMINATED"


@dataclass
class Standing:
    """What `Demand` reads of a `StudyStatus`."""

    finished: int
    total: int = 40
    stopping: bool = False

    @property
    def done(self):
        return self.finished >= self.total


def waiting(controller):
    return sum(worker.status == "PENDING" for worker in controller.workers)


def after(controller, standing, room=4):
    demand = Demand(room)
    if standing is not None:
        demand.hear(standing)
    demand.choose_trial_to_run(controller)
    return waiting(controller)


@pytest.mark.parametrize(
    ("finished", "expected"),
    [(0, 6), (16, 4), (24, 2), (29, 1), (32, 0), (39, 0)],
)
def test_demand_follows_the_trials_that_remain(finished, expected):
    # Two run and hold 4 each; of the 40 trials those that are left need so many more workers.
    workers = [Worker("RUNNING") for _ in range(2)] + [Worker("PENDING") for _ in range(6)]
    assert after(Controller(*workers), Standing(finished)) == expected


def test_a_worker_counts_with_the_room_that_it_says_it_has():
    small = [Worker("RUNNING", last_result={ROOM: 1}) for _ in range(2)]
    assert after(Controller(*small, Worker("PENDING")), Standing(37)) == 1


def test_trials_of_an_earlier_run_need_workers_though_all_are_begun():
    assert after(Controller(Worker("PENDING"), Worker("PENDING")), Standing(32)) == 2


def test_a_worker_that_broke_is_not_withdrawn_before_the_end():
    broken = Controller(Worker("RUNNING"), Worker("PENDING", num_failures=1))
    assert after(broken, Standing(39)) == 1
    assert after(broken, Standing(40)) == 0


def test_a_worker_whose_node_was_announced_to_go_is_not_withdrawn_before_the_end():
    moved = Worker("PENDING", run_metadata=SimpleNamespace(start_time=1.0))
    assert after(Controller(Worker("RUNNING"), moved), Standing(39)) == 1


def test_tune_remembers_when_a_worker_began_and_counts_no_failure_of_a_preempted_one():
    worker = Trial("nothing", stub=True, storage=None)
    assert not worker.num_failures
    assert worker.run_metadata.start_time is None
    worker.set_status(Trial.RUNNING)
    worker._handle_ray_actor_error(RayActorError(preempted=True))
    worker.set_status(Trial.PENDING)
    assert not worker.num_failures
    assert worker.run_metadata.start_time is not None


@pytest.mark.parametrize(("steps", "expected"), [(0, 2), (20, 0)])
def test_of_failures_only_those_count_after_which_nothing_was_trained(steps, expected):
    worker = SimpleNamespace(run_metadata=SimpleNamespace(num_failures=2))
    Demand(4).on_trial_result(Controller(), worker, {MEMBER_STEPS: steps})
    assert worker.run_metadata.num_failures == expected


def test_nobody_waits_on_after_a_stop():
    assert after(Controller(Worker("PENDING")), Standing(0, stopping=True)) == 0


def test_before_anything_is_known_all_wait():
    assert after(Controller(Worker("PENDING")), None) == 1
