import math
import random

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.pruner import LEAST, RungPruner, make_pruner, pruning_rungs
from sweeps.settings import Pruner


@pytest.fixture(autouse=True)
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def survivors(pruner, values, step=1, order=None, direction="minimize"):
    """Reports [trials] values at a step in some order, then judges them in that order."""
    study = optuna.create_study(direction=direction, pruner=pruner)
    trials = [study.ask() for _ in values]
    order = list(order or range(len(values)))
    for i in order:
        trials[i].report(values[i], step)
    return {i for i in order if not trials[i].should_prune()}


def pruner(keep=0.5, rungs=(1,), least=1):
    return RungPruner(rungs, keep, least)


@pytest.mark.parametrize("keep", [0.1, 0.25, 1 / 3, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 7, 30, 64])
def test_the_best_share_goes_on_rounded_up(n, keep):
    values = random.Random(n).sample(range(1000), n)
    places = max(1, math.ceil(round(keep * n, 6)))
    best = set(sorted(range(n), key=lambda i: values[i])[:places])
    assert survivors(pruner(keep), values) == best


def test_rounding_errors_keep_nothing_more():
    assert math.ceil(0.28 * 25) == 8  # which is why this is tested
    assert survivors(pruner(0.28), list(range(25))) == set(range(7))


def test_survivors_do_not_depend_on_the_order_of_reports_and_judgements():
    source = random.Random(0)
    values = [source.choice([1.0, 2.0, 3.0, 4.0, math.nan]) for _ in range(64)]
    orders = [list(range(64)), list(range(63, -1, -1))]
    orders += [source.sample(range(64), 64) for _ in range(10)]
    kept = {frozenset(survivors(pruner(), values, order=order)) for order in orders}
    assert len(kept) == 1


def test_stock_successive_halving_does_depend_on_the_order():
    # The reason for having a pruner of our own; drop it when this fails.
    counts = {
        len(survivors(optuna.pruners.SuccessiveHalvingPruner(1, reduction_factor=2), values))
        for values in (list(range(64)), list(range(63, -1, -1)))
    }
    assert counts == {1, 64}


def test_judging_leaves_no_trace_in_the_study():
    study = optuna.create_study(pruner=pruner())
    trials = [study.ask() for _ in range(8)]
    for i, trial in enumerate(trials):
        trial.report(i, 1)
    assert [t.should_prune() for t in trials] == [t.should_prune() for t in trials]
    assert all(t.system_attrs == {} for t in study.get_trials())


def test_equal_values_share_their_fate():
    assert survivors(pruner(), [2.0, 1.0, 2.0, 2.0]) == {0, 1, 2, 3}
    assert survivors(pruner(), [2.0, 1.0, 1.0, 2.0]) == {1, 2}
    assert survivors(pruner(), [5.0] * 9) == set(range(9))


def test_nan_never_goes_on_and_takes_no_place():
    nan = math.nan
    assert survivors(pruner(least=9), [nan, 1.0]) == {1}
    assert survivors(pruner(), [nan, 3.0, nan, 2.0]) == {1, 3}
    assert survivors(pruner(), [nan] * 4) == set()


def test_an_infinite_value_is_the_worst_number():
    assert survivors(pruner(), [math.inf, 3.0, 1.0, 2.0]) == {2, 3}


def test_the_direction_is_honoured():
    values = [1.0, 2.0, 3.0, 4.0]
    assert survivors(pruner(), values, direction="minimize") == {0, 1}
    assert survivors(pruner(), values, direction="maximize") == {2, 3}


def test_too_few_values_prune_nothing():
    assert survivors(pruner(least=5), [1.0, 2.0, 3.0, 4.0]) == {0, 1, 2, 3}
    assert survivors(pruner(least=4), [1.0, 2.0, 3.0, 4.0]) == {0, 1}


def test_only_its_rungs_prune():
    assert survivors(pruner(rungs=(2, 4)), list(range(8)), step=1) == set(range(8))
    assert survivors(pruner(rungs=(2, 4)), list(range(8)), step=2) == set(range(4))
    assert survivors(pruner(rungs=(2, 4)), list(range(8)), step=3) == set(range(8))


def test_a_trial_without_values_goes_on():
    assert not optuna.create_study(pruner=pruner()).ask().should_prune()


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE, None])
def test_values_count_whatever_became_of_their_trials(state):
    study = optuna.create_study(pruner=pruner())
    for value in (1.0, 2.0, 3.0):
        other = study.ask()
        other.report(value, 1)
        if state is not None:
            study.tell(other, value if state is TrialState.COMPLETE else None, state)
    trial = study.ask()
    trial.report(2.5, 1)
    assert trial.should_prune()


@pytest.mark.parametrize(("keep", "least"), [(0.0, 1), (1.1, 1), (-1, 1), (math.nan, 1), (0.5, 0)])
def test_bad_arguments_are_refused(keep, least):
    with pytest.raises(ValueError, match=r"(keep|least) = .*: must be"):
        RungPruner((1,), keep, least)


@pytest.mark.parametrize(
    ("steps", "eval_every", "rungs"),
    [
        (20_000, 1_000, (2_000, 5_000, 10_000)),
        (800, 100, (100, 200, 400)),
        (400, 100, (100, 200)),
        (200, 100, (100,)),
        (100, 100, ()),
        (50, 100, ()),
        (1_000, 300, (300, 600)),
    ],
)
def test_pruning_rungs_are_geometric(steps, eval_every, rungs):
    assert pruning_rungs(steps, eval_every) == rungs


@pytest.mark.parametrize("steps", [1, 10, 99, 100, 101, 1000, 12345])
@pytest.mark.parametrize("eval_every", [1, 7, 100, 5000])
def test_pruning_rungs_are_rungs_before_the_end(steps, eval_every):
    rungs = pruning_rungs(steps, eval_every)
    assert all(rung % eval_every == 0 and 0 < rung < steps for rung in rungs)
    assert len(rungs) <= 3


@pytest.mark.parametrize("name", Pruner)
@pytest.mark.parametrize(("steps", "eval_every"), [(800, 100), (100, 100), (50, 100)])
def test_every_pruner_judges_a_batch(name, steps, eval_every):
    made = make_pruner(name, steps=steps, eval_every=eval_every, keep=0.5)
    kept = survivors(made, list(range(16)), step=eval_every)
    assert 0 in kept
    if name is Pruner.NONE:
        assert kept == set(range(16))


def test_the_default_waits_for_enough_values():
    made = make_pruner(Pruner.RUNGS, steps=800, eval_every=100, keep=0.5)
    assert survivors(made, list(range(LEAST - 1)), step=100) == set(range(LEAST - 1))
    assert survivors(made, list(range(LEAST)), step=100) == {0, 1, 2}
