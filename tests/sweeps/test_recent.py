import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from sweeps.recent import RecentTrials


def told(study, numbers, direction=1):
    """Every third complete, others pruned, some of all diverged; the best are not the last."""
    for number in range(numbers):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        value = direction * ((number * 37) % 101 + number / 10)
        trial.report(value, 100 if number % 3 else 200)
        if number % 7 == 0:
            trial.set_constraint("diverged_share", 1.0)
        if number % 3 == 0:
            study.tell(trial, value)
        else:
            study.tell(trial, state=TrialState.FAIL if number % 11 == 0 else TrialState.PRUNED)


@pytest.fixture(params=["minimize", "maximize"])
def pair(request):
    """The whole study, and what a sampler sees of it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = InMemoryStorage()
    whole = optuna.create_study(storage=storage, study_name="s", direction=request.param)
    recent = RecentTrials(storage, 0, seen=100, best=30)
    seen = optuna.load_study(storage=recent, study_name="s")
    return whole, seen, 1 if request.param == "minimize" else -1


def numbers(trials):
    return [trial.number for trial in trials]


def test_a_short_study_is_seen_whole(pair):
    whole, seen, sign = pair
    seen.enqueue_trial({"x": 0.5})
    told(seen, 100, sign)
    waiting = seen.ask()
    assert numbers(seen.trials) == numbers(whole.trials) == list(range(101))
    assert seen.trials[waiting.number].state is TrialState.RUNNING


def test_of_a_long_one_tpe_takes_the_same_trials_for_good(pair):
    whole, seen, sign = pair
    told(seen, 250, sign)
    shown = seen.get_trials(deepcopy=False)
    assert 100 <= len(shown) <= 110
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    below = default_gamma(len(whole.get_trials(states=states)))
    good, _ = _split_trials(whole, whole.get_trials(states=states), below)
    good_of_shown, _ = _split_trials(seen, seen.get_trials(states=states), below)
    assert numbers(good_of_shown) == numbers(good)
    assert numbers(shown) == sorted(numbers(shown))
    assert set(numbers(shown)) >= set(range(185, 250))  # the last ones


def test_what_runs_or_waits_is_always_seen(pair):
    whole, seen, sign = pair
    first = seen.ask()
    told(seen, 200, sign)
    seen.enqueue_trial({"x": 0.5})
    assert {first.number, 201} <= set(numbers(seen.trials))
    whole.tell(first.number, 0.0 if sign > 0 else 1e6)  # the best of all, and the oldest
    assert first.number in numbers(seen.get_trials(states=(TrialState.COMPLETE,)))
    assert seen.ask().params == {}


def test_a_study_that_is_taken_up_again_is_seen_alike(pair):
    whole, seen, sign = pair
    told(seen, 250, sign)
    again = RecentTrials(whole._storage, 0, seen=100, best=30)
    shown = numbers(again.get_all_trials(0))
    assert len(shown) == 100
    assert set(shown[-70:]) == set(range(180, 250))
