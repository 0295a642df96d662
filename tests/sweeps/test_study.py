import dataclasses
import json
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState

from sweeps.journal import JournalFile, open_journal
from sweeps.protocol import Assignment, Final, Outcome, RungReport
from sweeps.settings import Pruner, Sampler, StudySettings
from sweeps.study import StudyOwner

SETTINGS = StudySettings(trials=12, steps=80, eval_every=10, seeds=2, max_in_flight=8)


def suggest(trial):
    chosen = {
        "lr_g": trial.suggest_float("lr_g", 1e-5, 1e-2, log=True),
        "loss": trial.suggest_categorical("loss", ["minimax", "wgan"]),
        "beta1": 0.5,
    }
    if chosen["loss"] == "minimax":
        chosen["label_smoothing"] = trial.suggest_float("label_smoothing", 0.0, 0.3)
    return chosen


def value_at(assignment, step):
    return abs(math.log10(assignment.hyperparameters["lr_g"]) + 3.5) + 10 / step


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@dataclasses.dataclass
class Worker:
    """Trains by formula and speaks the protocol as a worker does, with every message kept."""

    name: str
    slots: int
    diverges: float = 1.0  # lr_g above it diverges, both seeds at the first rung
    held: dict[int, tuple[Assignment, int]] = dataclasses.field(default_factory=dict)
    finals: list[Final] = dataclasses.field(default_factory=list)
    told: list[Final] = dataclasses.field(default_factory=list)
    seen: list[Assignment] = dataclasses.field(default_factory=list)
    member_steps: int = 0

    def message(self, settings):
        """Trains one interval; arguments of the exchange."""
        reports = []
        for trial, (assignment, step) in list(self.held.items()):
            step += settings.eval_every
            self.held[trial] = (assignment, step)
            self.member_steps += settings.eval_every * len(assignment.seeds)
            diverged = 2 * (assignment.hyperparameters["lr_g"] > self.diverges)
            value = 99.0 if diverged else value_at(assignment, step)
            reports.append(RungReport(trial, step, value, diverged))
            if step >= settings.steps:
                self.end(trial, Outcome.COMPLETE)
        want = self.slots - len(self.held)
        return (self.name, tuple(self.held), reports, tuple(self.finals), want, self.member_steps)

    def end(self, trial, outcome):
        assignment, _ = self.held.pop(trial)
        diverged = 2 * (assignment.hyperparameters["lr_g"] > self.diverges)
        self.finals.append(Final(trial, Outcome.DIVERGED if diverged else outcome, diverged))

    def obey(self, reply):
        self.told += self.finals
        self.finals = []
        for trial in reply.dropped:
            del self.held[trial]
        for trial in reply.prune:
            self.end(trial, Outcome.PRUNED)
        for assignment in reply.refills:
            self.held[assignment.trial] = (assignment, 0)
            self.seen.append(assignment)
        self.finals += [Final(assignment.trial, Outcome.FAILED, 0) for assignment in reply.lost]
        return reply.done


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch):
    # It guards against power cuts, which no test makes, and would be most of their time.
    monkeypatch.setattr("optuna.storages.journal._file.os.fsync", lambda _: None)


@pytest.fixture
def journal(tmp_path) -> Path:
    return tmp_path / "journal.log"


@pytest.fixture
def make(journal):
    """Opens an owner on the test's journal."""

    def open_owner(settings=SETTINGS, run_id="run", **options):
        return StudyOwner(settings, suggest, journal, run_id, **options)

    return open_owner


def run(owner, workers, settings=SETTINGS, most=500):
    for _ in range(most):
        done = [worker.obey(owner.exchange(*worker.message(settings))) for worker in workers]
        if all(done):
            return
    raise AssertionError(f"not done after {most} intervals: {owner.status()}")


def trials_in(journal):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name="gansweep", storage=open_journal(journal)).trials


def times_finished(journal):
    """For each trial the number of operations that ended it."""
    operations = [json.loads(line) for line in journal.read_text().splitlines()]
    told = [op for op in operations if op["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES]
    return Counter(op["trial_id"] for op in told if TrialState(op["state"]).is_finished())


def begin(owner, worker="w", want=1):
    return owner.exchange(worker, (), (), (), want).refills


# --- a whole sweep


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [*((Sampler.TPE, pruner) for pruner in Pruner), (Sampler.RANDOM, Pruner.RUNGS)],
)
def test_every_trial_ends_once_under_every_sampler_and_pruner(make, journal, sampler, pruner):
    settings = dataclasses.replace(SETTINGS, trials=16, steps=40, sampler=sampler, pruner=pruner)
    owner, workers = make(settings), [Worker("a", 5, 3e-3), Worker("b", 3, 3e-3)]
    run(owner, workers, settings)
    assert times_finished(journal) == dict.fromkeys(range(16), 1)
    status = owner.status()
    assert status.done
    assert (status.finished, status.running, status.failed) == (16, 0, 0)
    assert status.diverged > 0
    assert status.member_steps == sum(worker.member_steps for worker in workers)
    assert sorted(a.trial for worker in workers for a in worker.seen) == list(range(16))
    complete = [t for t in trials_in(journal) if t.state is TrialState.COMPLETE]
    assert len(complete) == status.complete > 0
    best = min(complete, key=lambda t: t.value)
    assert (best.number, best.value) == (status.best_trial, status.best_value)


def test_a_complete_trial_is_told_its_last_value_and_all_rungs(make, journal):
    owner, worker = make(), Worker("w", 8)
    run(owner, [worker])
    given = {assignment.trial: assignment for assignment in worker.seen}
    for trial in trials_in(journal):
        assert trial.value == trial.intermediate_values[trial.last_step]
        for step, value in trial.intermediate_values.items():
            assert value == value_at(given[trial.number], step)
        if trial.state is TrialState.COMPLETE:
            assert list(trial.intermediate_values) == list(range(10, 90, 10))


def test_the_greatest_value_is_best_where_the_objective_is_maximised(make):
    settings = dataclasses.replace(SETTINGS, objective="mode_entropy")
    owner, worker = make(settings), Worker("w", 8)
    run(owner, [worker], settings)
    complete = {f.trial for f in worker.told if f.outcome is Outcome.COMPLETE}
    values = {a.trial: value_at(a, 80) for a in worker.seen if a.trial in complete}
    assert owner.status().best_trial == max(values, key=values.__getitem__)
    assert owner.status().best_value == max(values.values())


def test_the_rung_pruner_ends_the_worse_half_of_a_lockstep_batch(make):
    settings = dataclasses.replace(SETTINGS, trials=8)
    owner, worker = make(settings), Worker("w", 8)
    for _ in range(2):
        worker.obey(owner.exchange(*worker.message(settings)))
    ranked = sorted(worker.seen, key=lambda assignment: value_at(assignment, 10))
    assert set(worker.held) == {assignment.trial for assignment in ranked[:4]}


# --- what is given out


def test_an_assignment_says_all_that_is_to_be_trained(make, journal):
    first, second = begin(make(), want=2)
    assert (first.trial, first.attempt, second.trial) == (0, 0, 1)
    assert first.hyperparameters["beta1"] == 0.5
    trial = trials_in(journal)[0]
    assert trial.user_attrs["hyperparameters"] == first.hyperparameters
    assert trial.user_attrs["owner"] == {"run": "run", "worker": "w", "attempt": 0, "breaks": 0}
    assert trial.user_attrs["seeds"] == list(first.seeds)


def test_members_of_all_trials_have_seeds_of_their_own(make):
    settings = dataclasses.replace(SETTINGS, seed=3, seeds=4)
    seeds = [seed for assignment in begin(make(settings), want=8) for seed in assignment.seeds]
    assert seeds == list(range(3_000_000, 3_000_032))


def test_proposals_are_keyed_by_the_seed(tmp_path):
    def proposals(name, seed):
        settings = dataclasses.replace(SETTINGS, seed=seed)
        owner = StudyOwner(settings, suggest, tmp_path / name, "run")
        return [assignment.hyperparameters for assignment in begin(owner, want=5)]

    assert proposals("a", 0) == proposals("b", 0) != proposals("c", 1)


def test_a_restarted_owner_does_not_propose_the_beginning_again(make):
    settings = dataclasses.replace(SETTINGS, sampler=Sampler.RANDOM, max_in_flight=None)
    rates = [begin(make(settings), worker=f"w{i}", want=3) for i in range(4)]
    assert len({a.hyperparameters["lr_g"] for batch in rates for a in batch}) == 12


def test_trials_in_flight_are_bounded(make):
    owner = make()
    assert len(begin(owner, "a", want=5)) == 5
    assert len(begin(owner, "b", want=5)) == 3
    assert begin(owner, "c", want=5) == ()


def test_tpe_has_a_quarter_in_flight_by_default_and_random_sampling_all():
    free = dataclasses.replace(SETTINGS, max_in_flight=None, trials=40)
    assert free.in_flight == 10
    assert dataclasses.replace(free, trials=3).in_flight == 1
    assert dataclasses.replace(free, sampler=Sampler.RANDOM).in_flight == 40
    assert dataclasses.replace(free, max_in_flight=7).in_flight == 7


def test_baselines_come_first_and_once_over_all_runs(make, journal):
    baselines = ({"lr_g": 2e-4, "loss": "wgan"}, {"lr_g": 1e-4})
    settings = dataclasses.replace(SETTINGS, baselines=baselines)
    make(settings)
    first, second, third = begin(make(settings), want=3)
    assert first.hyperparameters == {"lr_g": 2e-4, "loss": "wgan", "beta1": 0.5}
    assert second.hyperparameters["lr_g"] == 1e-4
    assert third.hyperparameters["lr_g"] not in (1e-4, 2e-4)
    owner = make(settings, "again")
    run(owner, [Worker("w", 8)], settings)
    assert owner.status().finished == SETTINGS.trials
    assert len([t for t in trials_in(journal) if "baseline" in t.user_attrs]) == 2


def test_a_baseline_that_is_added_when_resuming_is_tried(make):
    begin(make())
    settings = dataclasses.replace(SETTINGS, baselines=({"lr_g": 2e-4, "loss": "wgan"},))
    again, added = begin(make(settings, "again"), want=2)
    assert again.trial == 0
    assert added.hyperparameters["lr_g"] == 2e-4


def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("slow_s", [0.0, 0.04])
def test_a_sweep_whose_trials_are_prepared_ahead_is_as_whole(make, journal, slow_s):
    settings = dataclasses.replace(SETTINGS, trials=24, steps=40)

    def slow_suggest(trial):
        work(slow_s)
        return suggest(trial)

    owner = StudyOwner(settings, slow_suggest, journal, "run", ahead=True)
    workers = [Worker("a", 5, 3e-3), Worker("b", 3, 3e-3)]
    most, end = 0, time.monotonic() + 60
    while not owner.status().done and time.monotonic() < end:
        for worker in workers:
            worker.obey(owner.exchange(*worker.message(settings)))
        most = max(most, sum(len(worker.held) for worker in workers))
    owner.close()
    assert times_finished(journal) == dict.fromkeys(range(24), 1)
    assert sorted(a.trial for worker in workers for a in worker.seen) == list(range(24))
    assert most <= settings.in_flight


def test_trials_that_were_prepared_and_not_given_are_the_first_after_a_restart(make, journal):
    def slow_suggest(trial):
        work(0.05)
        return suggest(trial)

    owner = StudyOwner(SETTINGS, slow_suggest, journal, "run", ahead=True)
    begin(owner, want=2)
    end = time.monotonic() + 60
    while owner.status().running < 4 and time.monotonic() < end:
        owner.exchange("w", (0, 1), (), (), 0)
    owner.close()
    prepared = [trial.user_attrs["hyperparameters"] for trial in trials_in(journal)[2:4]]
    restarted = make()
    for status in (owner.status(), restarted.status()):
        assert status.running - status.ready == 2
    again = begin(restarted, "b", want=3)
    assert [a.trial for a in again] == [2, 3, 4]
    assert [a.hyperparameters for a in again[:2]] == prepared


# --- repeated, lost and late messages


def test_a_repeated_exchange_tells_nothing_twice(make, journal):
    owner, worker = make(), Worker("w", 8)
    for _ in range(9):
        message = worker.message(SETTINGS)
        reply = owner.exchange(*message)
        if not reply.refills:
            before = journal.read_bytes()
            assert owner.exchange(*message) == reply
            assert journal.read_bytes() == before
        worker.obey(reply)
    assert worker.told


def test_what_a_lost_reply_gave_is_given_again_before_anything_new(make):
    owner = make()
    lost = begin(owner, want=2)
    again = begin(owner, want=3)
    assert [(a.trial, a.attempt) for a in again] == [(0, 1), (1, 1), (2, 0)]
    for before, after in zip(lost, again, strict=False):
        assert (after.hyperparameters, after.seeds) == (before.hyperparameters, before.seeds)
    assert owner.status().running == 3


def test_what_one_worker_has_no_room_for_goes_to_another(make):
    owner = make()
    begin(owner, "a", want=3)
    owner.exchange("a", (0,), (), (), 0)
    assert [(a.trial, a.attempt) for a in begin(owner, "b", want=2)] == [(1, 1), (2, 1)]


def test_trials_of_another_run_are_begun_again(make):
    begin(make(), want=3)
    owner = make(run_id="resumed")
    assert owner.status().running == 3
    assert [(a.trial, a.attempt) for a in begin(owner, want=4)] == [(0, 1), (1, 1), (2, 1), (3, 0)]


def test_an_owner_that_restarts_within_a_run_leaves_trials_to_their_workers(make):
    begin(make(), want=2)
    owner = make()
    assert [a.trial for a in begin(owner, "b", want=2)] == [2, 3]
    reply = owner.exchange("w", (0, 1), [RungReport(0, 10, 1.0, 0)], (), 0)
    assert reply.dropped == ()


def test_trials_of_a_silent_worker_go_to_others_after_the_lease(make):
    clock = Clock()
    owner = make(lease_s=100, clock=clock)
    begin(owner, "a", want=2)
    clock.now = 60
    owner.heartbeat("a")
    clock.now = 160
    assert [a.trial for a in begin(owner, "b", want=1)] == [2]
    assert owner.status().workers == 2
    clock.now = 161
    reply = owner.exchange("b", (2,), (), (), 1)
    assert [(a.trial, a.attempt) for a in reply.refills] == [(0, 1)]
    assert owner.status().workers == 1


def test_a_late_message_about_a_trial_of_another_changes_nothing(make, journal):
    clock = Clock()
    owner = make(lease_s=100, clock=clock)
    begin(owner, "a", want=2)
    clock.now = 101
    begin(owner, "b", want=1)  # takes trial 0
    before = trials_in(journal)[0]
    late = [RungReport(0, 10, 5.0, 0), RungReport(1, 10, 6.0, 0)]
    reply = owner.exchange("a", (0, 1), late, (), 0)
    assert reply.dropped == (0,)
    owner.exchange("a", (1,), (), [Final(0, Outcome.COMPLETE, 0)], 0)
    after = trials_in(journal)
    assert after[0] == before
    assert after[1].intermediate_values == {10: 6.0}
    owner.exchange("b", (), [RungReport(0, 10, 7.0, 0)], [Final(0, Outcome.COMPLETE, 0)], 0)
    assert trials_in(journal)[0].value == 7.0
    assert owner.exchange("b", (0,), (), (), 0).dropped == (0,)


def test_a_trial_that_breaks_its_workers_is_given_up(make):
    owner = make()
    for attempt in range(3):
        (assignment,) = begin(owner)
        assert (assignment.trial, assignment.attempt) == (0, attempt)
    reply = owner.exchange("w", (), (), (), 1)
    assert [(a.trial, a.attempt, a.breaks) for a in reply.lost] == [(0, 3, 3)]
    assert [a.trial for a in reply.refills] == [1]
    reply = owner.exchange("w", (1,), (), (), 0)  # it was not told: it is said again
    assert [(a.trial, a.attempt) for a in reply.lost] == [(0, 4)]
    owner.exchange("w", (1,), (), [Final(0, Outcome.FAILED, 0)], 0)
    assert (owner.status().failed, owner.status().running) == (1, 1)


def test_only_breaks_count_since_a_trial_last_came_further_than_ever(make):
    owner = make()
    for attempt, step in enumerate((10, 20, 20, 20)):
        (assignment,) = begin(owner)
        assert assignment.attempt == attempt
        owner.exchange("w", (0,), [RungReport(0, step, 1.0, 0)], (), 0)
        owner = make()  # which is in the journal, too
    (lost,) = owner.exchange("w", (), (), (), 1).lost
    assert (lost.attempt, lost.breaks) == (4, 3)


def test_a_worker_is_told_how_often_it_died_without_getting_on(make):
    owner = make()
    assert owner.begin_worker("w") == 0
    begin(owner)
    assert owner.begin_worker("w") == 1
    owner = make()  # which is in the journal, too
    assert owner.begin_worker("w") == 2
    assert owner.begin_worker("other") == 0
    begin(owner)
    owner.exchange("w", (0,), [RungReport(0, 10, 1.0, 0)], (), 0)
    assert owner.begin_worker("w") == 0  # its last life got on
    begin(owner)
    owner.exchange("w", (0,), [RungReport(0, 10, 1.0, 0)], (), 0)  # no further than ever before
    assert make().begin_worker("w") == 1
    assert make(run_id="resumed").begin_worker("w") == 0


def test_what_a_worker_gives_back_goes_on_as_if_nothing_broke(make):
    owner = make()
    begin(owner, want=2)
    for attempt in range(1, 8):
        owner.release("w")
        owner.release("w")  # may be repeated
        owner = make()  # which is in the journal, too
        given = owner.exchange("w", (), (), (), 2).refills
        assert [(a.trial, a.attempt, a.breaks) for a in given] == [(0, attempt, 0), (1, attempt, 0)]
    owner.release("w")
    assert owner.exchange("w", (0, 1), (), (), 0).dropped == (0, 1)
    reply = owner.exchange("other", (), (), (), 2)
    assert [a.trial for a in reply.refills] == [0, 1]
    assert owner.status().running == 2


def test_resuming_often_gives_no_trial_up(make):
    for attempt in range(8):
        reply = make(run_id=f"run-{attempt}").exchange("w", (), (), (), 1)
        assert [(a.trial, a.attempt) for a in reply.refills] == [(0, attempt)]


def test_a_later_attempt_replaces_values_and_is_judged_where_it_stands(make, journal):
    settings = dataclasses.replace(SETTINGS, trials=8, max_in_flight=None, sampler=Sampler.RANDOM)
    owner = make(settings)
    assert len(begin(owner, want=8)) == 8
    trials = range(8)
    for step in (10, 20, 30):  # all equal: all survive
        owner.exchange("w", trials, [RungReport(t, step, 5.0, 0) for t in trials], (), 0)
    owner = make(settings, "resumed")
    begin(owner, want=1)  # trial 0 again, and worse this time
    reply = owner.exchange("w", (0,), [RungReport(0, 10, 6.0, 0)], (), 0)
    assert reply.prune == (0,)
    assert trials_in(journal)[0].intermediate_values == {10: 6.0, 20: 5.0, 30: 5.0}


def test_what_an_earlier_attempt_was_let_do_a_later_one_may_do_again(make):
    settings = dataclasses.replace(SETTINGS, trials=8, max_in_flight=None, sampler=Sampler.RANDOM)
    owner = make(settings)
    assert len(begin(owner, want=8)) == 8
    owner.exchange("w", (0,), [RungReport(0, 10, 5.0, 0)], (), 0)  # the first to come
    owner.exchange("w", (0,), [RungReport(0, 20, 5.0, 0)], (), 0)
    better = [RungReport(trial, step, 1.0, 0) for trial in range(1, 8) for step in (10, 20)]
    owner.exchange("w", range(8), better, (), 0)
    owner = make(settings, "resumed")
    begin(owner, want=8)
    assert owner.exchange("w", (0,), [RungReport(0, 10, 5.0, 0)], (), 0).prune == ()
    # It was never seen beyond this one, so nothing says that it was let on.
    assert owner.exchange("w", (0,), [RungReport(0, 20, 5.0, 0)], (), 0).prune == (0,)


def test_a_decision_to_end_a_trial_stands_until_it_ended(make):
    settings = dataclasses.replace(SETTINGS, trials=8)
    owner = make(settings)
    begin(owner, want=8)
    reports = [RungReport(trial, 10, float(trial), 0) for trial in range(8)]
    assert owner.exchange("w", range(8), reports, (), 0).prune == (4, 5, 6, 7)
    assert owner.exchange("w", range(8), (), (), 0).prune == (4, 5, 6, 7)
    finals = [Final(trial, Outcome.PRUNED, 0) for trial in (4, 5, 6)]
    assert owner.exchange("w", (0, 1, 2, 3, 7), (), finals, 0).prune == (7,)


# --- divergence


def finish(owner, outcome, diverged, value, worker="w"):
    (assignment,) = begin(owner, worker)
    trial = assignment.trial
    report = [] if value is None else [RungReport(trial, 10, value, diverged)]
    owner.exchange(worker, (), report, [Final(trial, outcome, diverged)], 0)
    return trial


@pytest.mark.parametrize(
    ("allowed", "outcome", "diverged", "state", "counts_as"),
    [
        (0.0, Outcome.COMPLETE, 0, TrialState.COMPLETE, Outcome.COMPLETE),
        (0.0, Outcome.COMPLETE, 1, TrialState.PRUNED, Outcome.DIVERGED),
        (0.5, Outcome.COMPLETE, 1, TrialState.COMPLETE, Outcome.COMPLETE),
        (0.5, Outcome.COMPLETE, 2, TrialState.PRUNED, Outcome.DIVERGED),
        (0.0, Outcome.PRUNED, 0, TrialState.PRUNED, Outcome.PRUNED),
        (0.0, Outcome.PRUNED, 1, TrialState.PRUNED, Outcome.DIVERGED),
        (0.0, Outcome.DIVERGED, 2, TrialState.PRUNED, Outcome.DIVERGED),
        (1.0, Outcome.DIVERGED, 2, TrialState.PRUNED, Outcome.DIVERGED),
        (1.0, Outcome.COMPLETE, 1, TrialState.COMPLETE, Outcome.COMPLETE),
        (1.0, Outcome.COMPLETE, 2, TrialState.PRUNED, Outcome.DIVERGED),
        (0.0, Outcome.FAILED, 0, TrialState.FAIL, Outcome.FAILED),
    ],
)
def test_divergence_is_a_constraint(make, journal, allowed, outcome, diverged, state, counts_as):
    owner = make(dataclasses.replace(SETTINGS, allowed_diverged_share=allowed))
    finish(owner, outcome, diverged, 42.0)
    (trial,) = trials_in(journal)
    assert trial.state is state
    assert trial.constraints == {"diverged_share": diverged / 2 - allowed}
    assert trial.intermediate_values == {10: 42.0}
    assert trial.value == (None if state is TrialState.FAIL else 42.0)
    assert trial.user_attrs["outcome"] == counts_as
    for status in (owner.status(), make().status()):
        assert getattr(status, counts_as) == status.finished == 1


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_complete_without_a_number_counts_as_diverged(make, journal, value):
    owner = make()
    finish(owner, Outcome.COMPLETE, 0, value)
    (trial,) = trials_in(journal)
    assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"diverged_share": 1.0})
    assert (owner.status().diverged, owner.status().best_trial) == (1, None)


def test_the_sampler_takes_infeasible_trials_for_bad_ones_whatever_their_value(make, journal):
    owner = make(dataclasses.replace(SETTINGS, trials=40))
    diverged = {finish(owner, Outcome.DIVERGED, 2, 0.001) for _ in range(10)}
    sound = {finish(owner, Outcome.COMPLETE, 0, 50.0) for _ in range(10)}
    study = optuna.load_study(study_name="gansweep", storage=open_journal(journal))
    good, bad = _split_trials(study, study.trials, n_below=10)
    assert {trial.number for trial in good} == sound
    assert {trial.number for trial in bad} == diverged


def test_a_study_of_nothing_but_diverged_trials_goes_on_sampling(make):
    settings = dataclasses.replace(SETTINGS, trials=30)
    owner, worker = make(settings), Worker("w", 8, diverges=0.0)
    run(owner, [worker], settings)
    assert owner.status().diverged == 30
    assert len({a.hyperparameters["lr_g"] for a in worker.seen}) == 30


@pytest.mark.parametrize(("pruner", "pruned"), [(Pruner.RUNGS, (0,)), (Pruner.NONE, ())])
def test_a_trial_that_became_infeasible_is_ended_unless_nothing_is_pruned(make, pruner, pruned):
    owner = make(dataclasses.replace(SETTINGS, pruner=pruner))
    begin(owner)
    assert owner.exchange("w", (0,), [RungReport(0, 10, 9.0, 0)], (), 0).prune == ()
    assert owner.exchange("w", (0,), [RungReport(0, 20, 9.0, 1)], (), 0).prune == pruned


# --- crashes


class Crash(BaseException):
    """The owner's process dies."""


def tear_write(monkeypatch, nth):
    """Lets the nth operation from now on break off in the middle of its line in the journal."""
    write, count = JournalFile._write, 0

    def write_until_crash(self, lines):
        nonlocal count
        count += len(lines)
        if count - len(lines) < nth <= count:
            whole = lines[: len(lines) - 1 - (count - nth)]
            torn = lines[len(whole)]
            with self._path.open("ab") as file:
                file.write("".join([*whole, torn[: len(torn) // 2]]).encode())
            raise Crash
        return write(self, lines)

    monkeypatch.setattr(JournalFile, "_write", write_until_crash)


def run_through_a_crash(make, settings, workers):
    """As `run`; a crashed owner is replaced, and the exchange repeated.

    Returns:
        Whether it crashed.
    """
    owner, crashed = None, False
    for _ in range(100):
        done = []
        for worker in workers:
            message = worker.message(settings)
            while True:
                try:
                    owner = owner or make(settings)
                    reply = owner.exchange(*message)
                    break
                except Crash:
                    owner, crashed = None, True
            done.append(worker.obey(reply))
        if all(done):
            return crashed
    raise AssertionError("not done")


def test_an_owner_may_die_at_any_write(tmp_path, monkeypatch):
    settings = StudySettings(
        trials=2,
        steps=20,
        eval_every=10,
        seeds=2,
        max_in_flight=2,
        baselines=({"lr_g": 2e-4, "loss": "minimax"},),
    )
    nth, crashed = 0, True
    while crashed:
        nth += 1
        journal = tmp_path / f"{nth}.log"
        with monkeypatch.context() as patch:
            tear_write(patch, nth)
            workers = [Worker("a", 1), Worker("b", 1, diverges=0.0)]
            crashed = run_through_a_crash(
                lambda settings, journal=journal: StudyOwner(settings, suggest, journal, "run"),
                settings,
                workers,
            )
        assert times_finished(journal) == {0: 1, 1: 1}
        told = sorted(final.trial for worker in workers for final in worker.told)
        assert told == [0, 1]
        for trial in trials_in(journal):
            assert trial.user_attrs["seeds"] == [2 * trial.number, 2 * trial.number + 1]
            assert trial.params.keys() <= trial.user_attrs["hyperparameters"].keys()
            assert trial.state is not TrialState.RUNNING
    assert nth > 25  # the sweep has that many writes


def test_an_owner_killed_between_calls_is_continued(make, journal):
    code = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from sweeps.protocol import Final, Outcome, RungReport
from sweeps.settings import StudySettings
from sweeps.study import StudyOwner

settings = StudySettings(trials=12, steps=80, eval_every=10, seeds=2, max_in_flight=8)
suggest = lambda trial: {{"lr_g": trial.suggest_float("lr_g", 1e-5, 1e-2, log=True)}}
owner = StudyOwner(settings, suggest, Path(sys.argv[1]), "run")
owner.exchange("w", (), (), (), 3)
owner.exchange("w", (1, 2), [RungReport(0, 80, 2.5, 0)], [Final(0, Outcome.COMPLETE, 0)], 1)
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(journal)], capture_output=True)
    assert (done.returncode, done.stderr) == (9, b"")
    owner = make()
    status = owner.status()
    assert (status.complete, status.running, status.best_value) == (1, 3, 2.5)
    # The worker repeats the message whose reply it never got.
    message = ("w", (1, 2), [RungReport(0, 80, 2.5, 0)], [Final(0, Outcome.COMPLETE, 0)], 1)
    reply = owner.exchange(*message)
    assert [(a.trial, a.attempt) for a in reply.refills] == [(3, 1)]
    assert (reply.dropped, reply.prune) == ((), ())
    assert times_finished(journal) == {0: 1}


# --- over several runs


def test_a_finished_study_is_extended(make, journal):
    run(make(), [Worker("w", 8)])
    settings = dataclasses.replace(SETTINGS, trials=20)
    owner = make(settings, "extended")
    assert not owner.status().done
    worker = Worker("w", 8)
    run(owner, [worker], settings)
    assert [a.trial for a in worker.seen] == list(range(12, 20))
    assert times_finished(journal) == dict.fromkeys(range(20), 1)


def test_a_finished_study_gives_nothing_out(make):
    run(make(), [Worker("w", 8)])
    reply = make(run_id="again").exchange("w", (), (), (), 4)
    assert reply.done
    assert (reply.refills, reply.lost) == ((), ())


def test_a_storage_that_fails_stops_all_and_blames_no_trial(make):
    owner = make()
    begin(owner, want=2)
    assert owner.status().failure is None
    owner.give_up("cannot write a: no space")
    owner.give_up("cannot write b: no space")
    assert owner.status().failure == "cannot write a: no space"
    assert owner.exchange("v", (), (), (), 3).stop
    again = make(run_id="resumed")
    assert again.status().failure is None
    assert [(a.trial, a.breaks) for a in begin(again, want=2)] == [(0, 0), (1, 0)]


def test_stopping_gives_nothing_out_and_keeps_what_runs_for_later(make):
    owner = make()
    begin(owner, want=2)
    owner.request_stop()
    reply = owner.exchange("w", (0,), [RungReport(0, 10, 1.0, 0)], (), 3)
    assert reply.stop
    assert not reply.done
    assert reply.refills == ()
    assert owner.status().stopping
    assert [a.trial for a in begin(make(run_id="resumed"), want=2)] == [0, 1]


def test_the_count_of_member_steps_never_goes_back(make):
    owner = make()
    owner.exchange("a", (), (), (), 0, member_steps=100)
    owner.exchange("b", (), (), (), 0, member_steps=10)
    owner.exchange("a", (), (), (), 0, member_steps=100)
    owner.heartbeat("a")
    assert owner.status().member_steps == 110
