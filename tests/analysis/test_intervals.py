import itertools
import math

import numpy as np
import pytest
from scipy.stats import trim_mean

from analysis.intervals import (
    bootstrap,
    interquartile_mean,
    require_confidence,
    row_intervals,
    stratified_bootstrap,
)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([5], 5),
        ([1, 2, 6], 3),
        ([0, 1, 3, 100], 2),
        ([7, 6, 5, 4, 3, 2, 1, 0], 3.5),
        ([[1, 2], [3, 1000]], 2.5),
        ([1, 2, 4, math.inf], 3),
        ([-math.inf, 1, 2, math.inf], 1.5),
        ([1, 2, math.inf], math.inf),
    ],
)
def test_the_mean_is_of_the_middle_half(values, mean):
    assert interquartile_mean(values) == mean
    assert interquartile_mean(np.flip(values)) == mean


@pytest.mark.parametrize("n", range(1, 30))
def test_it_is_the_trimmed_mean_that_rliable_takes(n):
    values = np.random.default_rng(n).normal(size=n)
    assert interquartile_mean(values) == pytest.approx(trim_mean(values, 0.25), rel=1e-12)


@pytest.mark.parametrize("values", [[], [1, math.nan, 2, 3], [math.nan] * 8])
def test_of_nothing_and_of_what_is_not_known_there_is_no_mean(values):
    assert math.isnan(interquartile_mean(values))


def all_draws(values):
    """Interquartile means of every draw of as many, each as likely: sorted."""
    return np.sort([interquartile_mean(d) for d in itertools.product(values, repeat=len(values))])


def interval_of(sorted_means, confidence):
    n = len(sorted_means)
    return tuple(sorted_means[math.ceil(n * (1 + s * confidence) / 2 - 1e-9) - 1] for s in (-1, 1))


@pytest.mark.parametrize("values", [[1.0, 4.0], [1.0, 2.0, 7.0], [0.0, 1.0, 3.0, 10.0]])
def test_the_interval_is_that_of_every_possible_draw(values):
    exact, resamples, confidence = all_draws(values), 20_000, 0.88
    # No step of the exact distribution is so near that the draws could miss it by chance.
    _, ends = np.unique(exact[::-1].round(9), return_index=True)
    deviation = math.sqrt(0.06 * 0.94 / resamples)
    for tail in (0.06, 0.94):
        assert np.abs(1 - ends / len(exact) - tail).min() > 3 * deviation
    found = stratified_bootstrap(values, confidence=confidence, resamples=resamples)
    assert found == pytest.approx(interval_of(exact, confidence), rel=1e-12)


def test_strata_are_drawn_from_apart():
    # Draws across would give 0 and 10 all alike now and then; within strata nothing varies.
    values, strata = [0, 0, 10, 10], ["a", "a", "b", "b"]
    assert stratified_bootstrap(values, strata) == (5, 5)
    assert stratified_bootstrap(values) == (0, 10)


def test_values_alone_in_their_strata_are_drawn_from_each_other():
    values = np.random.default_rng(0).normal(size=12)
    alone = stratified_bootstrap(values, np.arange(12))
    assert alone == stratified_bootstrap(values)
    assert alone[0] < interquartile_mean(values) < alone[1]


@pytest.mark.parametrize("values", [[], [3.0], [1.0, math.nan, 2.0]])
def test_where_nothing_can_vary_or_a_value_is_missing_there_is_no_interval(values):
    assert all(map(math.isnan, stratified_bootstrap(values)))


def test_infinite_values_are_the_greatest_and_no_nan():
    low, high = stratified_bootstrap([1.0, 2.0, 3.0, math.inf], confidence=0.5)
    assert 1 <= low < 3
    assert high == math.inf
    with np.errstate(invalid="raise"):
        assert stratified_bootstrap([-math.inf, 1.0, 1.0, 1.0]) == (-math.inf, 1.0)


def test_the_seed_decides_the_numbers_and_the_order_of_values_does_not():
    generator = np.random.default_rng(1)
    values, strata = generator.normal(size=40), np.repeat(np.arange(8), 5)
    first = stratified_bootstrap(values, strata, seed=3)
    assert first == stratified_bootstrap(values, strata, seed=3)
    assert first != stratified_bootstrap(values, strata, seed=4)
    order = generator.permutation(40)
    assert first == stratified_bootstrap(values[order], strata[order], seed=3)


def test_more_confidence_is_wider_and_unit_and_shift_carry_over():
    values = np.random.default_rng(2).normal(size=20)
    low, high = stratified_bootstrap(values)
    wide = stratified_bootstrap(values, confidence=0.99)
    assert wide[0] < low < high < wide[1]
    moved = stratified_bootstrap(3 * values + 5)
    assert moved == pytest.approx((3 * low + 5, 3 * high + 5), rel=1e-12)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # Normal values: the interquartile mean of the distribution is its centre, 0.
    generator = np.random.default_rng(5)
    strata, rounds = np.repeat(np.arange(10), 5), 300
    hits = 0
    for seed in range(rounds):
        low, high = stratified_bootstrap(
            generator.normal(size=50), strata, confidence=0.9, resamples=400, seed=seed
        )
        hits += low <= 0 <= high
    # Five seeds a stratum: the width is sqrt(4/5) of right, which covers 1 - 2 Phi(-1.645 *
    # .894) = 86%; four standard deviations of 300 rounds are 8%.
    assert 0.78 < hits / rounds < 0.95


def test_one_stratum_covers_fully():
    generator = np.random.default_rng(6)
    low, high = row_intervals(generator.exponential(size=(2000, 40)), confidence=0.9, resamples=400)
    # The middle half of an exponential distribution: its mean, integrated by hand, is
    # 2 * [-(x + 1) exp(-x)] from ln(4/3) to ln 4 = 2 (.75 (1 + ln 4/3) - .25 (1 + ln 4)).
    truth = 2 * (0.75 * (1 + math.log(4 / 3)) - 0.25 * (1 + math.log(4)))
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("n", [2, 3, 5, 9, 30])
def test_rows_have_the_intervals_that_they_have_alone(n):
    values = np.random.default_rng(n).normal(size=(6, n))
    low, high = row_intervals(values, confidence=0.9, resamples=500, seed=7)
    for row in range(6):
        alone = stratified_bootstrap(values[row], confidence=0.9, resamples=500, seed=7)
        assert (low[row], high[row]) == pytest.approx(alone, rel=1e-12)


def test_rows_that_lack_a_value_leave_the_others_alone():
    values = np.random.default_rng(0).normal(size=(3, 4))
    low, high = row_intervals(values)
    values[1, 2] = math.nan
    less = row_intervals(values)
    assert np.isnan([less[0][1], less[1][1]]).all()
    assert (less[0][[0, 2]] == low[[0, 2]]).all()
    assert (less[1][[0, 2]] == high[[0, 2]]).all()
    for shape in ((0, 4), (3, 1), (2, 0)):
        assert np.isnan(row_intervals(np.ones(shape))).all()


def test_any_statistic_of_the_draws_has_an_interval():
    # The mean of zeros and ones is binomial: its 95% percentiles of 100 are known.
    values = np.repeat([0.0, 1.0], 50)
    low, high = bootstrap(lambda counts: counts @ values / 100, values, resamples=20_000)
    assert (low, high) == pytest.approx((0.40, 0.60), abs=0.0100001)


def test_lone_values_stay_in_their_pool():
    values = np.array([0.0, 1.0, 10.0, 11.0, 50.0])

    def sums(counts):
        return np.stack([counts[:, :2].sum(axis=1), counts[:, 2:4].sum(axis=1)], axis=1)

    pools = [0, 0, 1, 1, 2]
    low, high = bootstrap(sums, values, np.arange(5), pools=pools, confidence=0.99)
    assert low.tolist() == high.tolist() == [2, 2]
    low, high = bootstrap(sums, values, np.arange(5), confidence=0.99)
    assert low.tolist() == [0, 0]
    low, high = bootstrap(sums, values, np.arange(5), pools=np.arange(5))
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("confidence", [0, 1, -0.1, math.nan])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match=rf"confidence = {confidence}: must be in \(0, 1\)"):
        require_confidence(confidence)
    with pytest.raises(ValueError, match="must be in"):
        stratified_bootstrap([1.0, 2.0], confidence=confidence)
    with pytest.raises(ValueError, match="must be in"):
        row_intervals(np.ones((2, 2)), confidence=confidence)


def test_no_draws_and_strata_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"resamples = 0: must be > 0"):
        stratified_bootstrap([1.0, 2.0], resamples=0)
    with pytest.raises(
        ValueError, match=r"strata: has shape \(3,\), must be that of values, \(2,\)"
    ):
        stratified_bootstrap([1.0, 2.0], [0, 0, 1])
