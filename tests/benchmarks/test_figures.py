import pytest

from benchmarks import figures
from benchmarks.results import Key

COHORT = Key(figure="rates", case="digits", contender="gansweep", variant="K=32")
SOLO = Key(figure="rates", case="digits", contender="solo")


def key(figure, contender, variant=""):
    return Key(figure=figure, case="digits", contender=contender, variant=variant)


def test_speeds_are_compared_turn_by_turn(results):
    assert figures.rate(results, COHORT) == 250
    assert figures.rate_ratio(results, COHORT, SOLO) == 5  # not 250 / 100


def test_the_share_of_the_matmul_rate_is_of_floating_point_operations(results):
    assert figures.matmul_share(results, SOLO) == pytest.approx(100 * 1 / (10 * 100))


def test_whole_searches_are_compared_at_as_many_trials(results):
    stock, own = key("sweeps", "stock"), key("sweeps", "gansweep")
    # 650 s and 1290 s of stock for 64 trials, against 65.
    assert figures.speed_ratio(results, own, stock) == pytest.approx((10 + 1290 / 65) / 2)


def test_the_time_to_the_others_best_counts_until_the_other_had_it(results):
    own, stock = key("target", "gansweep"), key("target", "stock", "ASHA")
    assert figures.seconds_to_reach(results, own, stock) == 20
    assert figures.time_ratio(results, own, stock) == 3
    assert figures.time_ratio(results, own, stock, whole=True) == 6


def test_a_best_that_was_never_reached_is_no_gain_at_all(results):
    own, stock = key("target", "stock", "ASHA"), key("target", "gansweep")
    assert figures.time_ratio(results, own, stock) == 0


def test_what_is_not_training_counts_start_and_end_unless_asked_without(results):
    own = key("overhead", "gansweep", "64 slots")
    assert figures.outside_training(results, own) == pytest.approx(0.2)
    assert figures.outside_training(results, own, running=True) == pytest.approx(1 - 0.8 / 0.9)


def test_what_was_not_measured_has_no_figure(results):
    absent = key("rates", "tutorial")
    assert figures.rate(results, absent) is None
    assert figures.rate_ratio(results, absent, SOLO) is None
