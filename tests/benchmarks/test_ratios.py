import math

import pytest

from benchmarks import ratios


def test_a_ratio_is_the_median_of_what_each_turn_comes_to():
    own, other = {0: {"x": 10}, 1: {"x": 2}, 2: {"x": 9}}, {0: {"x": 1}, 1: {"x": 1}, 2: {"x": 3}}
    assert ratios.median_ratio(own, other, lambda a, b: a["x"] / b["x"]) == 3


def test_turns_that_only_one_has_do_not_count():
    own, other = {0: {"x": 10}, 5: {"x": 1000}}, {0: {"x": 5}, 7: {"x": 1}}
    assert ratios.median_ratio(own, other, lambda a, b: a["x"] / b["x"]) == 2
    assert ratios.median_ratio({5: {"x": 1}}, other, lambda a, b: 1.0) is None
    assert ratios.median_of({}, lambda values: 1.0) is None


def test_trainings_per_hour_of_a_whole_search_are_its_trials_over_its_time():
    values = {"trials": 64, "wall_s": 64.0, "begin_s": 10.0}
    assert ratios.trainings_per_hour(values, 64) == 3600


def test_a_search_told_from_fewer_trials_starts_only_once():
    # 10 s of start and 10 s for each of 4 trials: 16 of them would take 170 s.
    values = {"trials": 4, "wall_s": 50.0, "begin_s": 10.0}
    assert ratios.trainings_per_hour(values, 16) == pytest.approx(3600 * 16 / 170)


def test_the_best_is_the_last_improvement_and_a_value_is_reached_at_the_first_as_good():
    values = {"improvements": [[1.0, 9.0], [4.0, 5.0], [8.0, 3.0]]}
    assert ratios.best(values) == (3.0, 8.0)
    assert ratios.reached_s(values, 5.0) == 4.0
    assert ratios.reached_s(values, 6.0) == 4.0
    assert ratios.reached_s(values, 2.0) == math.inf


def test_a_search_that_saw_nothing_has_no_best():
    assert ratios.best({"improvements": []}) == (math.inf, math.inf)
