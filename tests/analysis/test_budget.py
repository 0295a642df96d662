import itertools
import math

import numpy as np
import pytest

from analysis.budget import budget_curve, least_of

START = 320.0  # the control's untrained generator


@pytest.mark.parametrize("n", range(1, 9))
def test_the_best_of_k_is_that_over_all_choices_of_k(n):
    values = np.random.default_rng(n).integers(0, 9, size=n).astype(float)  # with ties
    numbers = np.arange(1, n + 1)
    mean, low, high = least_of(values, numbers, confidence=0.6)
    for k in numbers:
        bests = np.sort([min(choice) for choice in itertools.combinations(values, k)])
        assert mean[k - 1] == pytest.approx(bests.mean(), rel=1e-12)
        # The least values that at least 20% and 80% of the choices are below or at.
        for found, share in ((low, 0.2), (high, 0.8)):
            rank = math.ceil(share * len(bests) - 1e-9)
            assert found[k - 1] == bests[max(rank, 1) - 1]


def test_equally_spaced_values_have_their_known_expectation():
    # The least of k of 1, ..., n without replacement is (n + 1) / (k + 1) in the mean.
    n, numbers = 5000, np.array([1, 2, 3, 10, 100, 2500, 4999, 5000])
    mean, _, _ = least_of(np.arange(1.0, n + 1), numbers)
    assert mean == pytest.approx((n + 1) / (numbers + 1), rel=1e-9)


def test_its_ends_are_the_mean_and_the_least():
    values = np.random.default_rng(0).lognormal(size=300)
    mean, low, high = least_of(values, np.array([1, 300]))
    assert mean == pytest.approx([values.mean(), values.min()], rel=1e-12)
    assert (low[1], high[1]) == (values.min(), values.min())
    assert (values < low[0]).mean() <= 0.025 <= (values <= low[0]).mean()
    assert (values < high[0]).mean() <= 0.975 <= (values <= high[0]).mean()


def test_more_trials_are_never_worse():
    values = np.random.default_rng(1).lognormal(size=60)
    mean, low, high = least_of(values, np.arange(1, 61))
    assert (np.diff(mean) < 0).all()
    assert (np.diff(low) <= 0).all()
    assert (np.diff(high) <= 0).all()
    assert (low <= mean).all()


@pytest.mark.parametrize("number", [0, 4])
def test_more_trials_than_there_are_is_refused(number):
    with pytest.raises(ValueError, match=r"each must be in \[1, 3\]"):
        least_of(np.arange(3.0), np.array([number]))


def trial(number, score, status="complete", **values):
    told = None if score is None else score
    return {"trial": number, "status": status, "trial_objective": told, "objective": told} | values


def test_a_curve_goes_from_a_random_trial_to_the_best(sweep_of):
    table = budget_curve(sweep_of([trial(t, v) for t, v in enumerate([4.0, 1.0, 7.0])]))
    assert list(table) == ["variant", "trials", "expected_best", "low", "high"]
    assert table["variant"].tolist() == ["all"] * 3
    assert table["trials"].tolist() == [1, 2, 3]
    # min of {4,1}, {4,7}, {1,7} = 1, 4, 1
    assert table["expected_best"].tolist() == pytest.approx([4, 2, 1])
    assert table["low"].tolist() == [1, 1, 1]
    assert table["high"].tolist() == [7, 4, 1]


def test_more_can_be_better(sweep_of):
    rows = [trial(t, v) for t, v in enumerate([4.0, 1.0, 7.0])]
    table = budget_curve(sweep_of(rows, search={"objective": "mode_entropy"}))
    assert table["expected_best"].tolist() == pytest.approx([4, 6, 7])
    assert table["low"].tolist() == [1, 4, 7]
    assert table["high"].tolist() == [7, 7, 7]


def test_stopped_trials_are_in_the_budget_and_never_the_best(sweep_of):
    rows = [
        trial(0, 5.0),
        trial(1, 9.0),
        trial(2, 2.0, "pruned"),  # was ahead once, and counts as the worst complete one
        trial(3, 60.0, "pruned"),
        trial(4, None, "diverged"),
        trial(5, None, "failed"),
    ]
    table = budget_curve(sweep_of(rows))
    assert table["trials"].tolist() == [1, 2, 3, 4, 5]
    values = [5, 9, 9, 60, START]
    assert table["expected_best"].iloc[0] == pytest.approx(np.mean(values))
    assert table["expected_best"].iloc[1] == pytest.approx(
        np.mean([min(pair) for pair in itertools.combinations(values, 2)])
    )
    assert table["expected_best"].iloc[-1] == 5


def test_each_variant_has_its_own_budget(sweep_of):
    rows = [
        *(trial(t, 10.0 + t, loss="wgan") for t in range(3)),
        trial(3, 1.0, loss="hinge"),
        trial(4, 30.0, "pruned", loss="lsgan"),
        trial(5, None, "diverged", loss="lsgan"),
        trial(6, None, "failed", loss="minimax"),
    ]
    table = budget_curve(sweep_of(rows), by="loss")
    assert table.groupby("variant")["trials"].apply(list).to_dict() == {
        **{"hinge": [1], "lsgan": [1, 2], "wgan": [1, 2, 3]}
    }
    # Without a complete trial they count as what they were.
    lsgan = table.loc[table["variant"] == "lsgan", "expected_best"]
    assert lsgan.tolist() == pytest.approx([(30 + START) / 2, 30])


def test_seeds_are_one_trial_and_sweeps_are_many(sweep_of):
    rows = [trial(0, 2.0, seed=s, sweep=name) for s in range(3) for name in "ab"]
    assert budget_curve(sweep_of(rows))["trials"].tolist() == [1, 2]


def test_long_curves_have_fewer_points_and_both_ends(sweep_of):
    table = budget_curve(sweep_of([trial(t, float(t)) for t in range(5000)]))
    assert 100 < len(table) <= 200
    assert table["trials"].iloc[[0, -1]].tolist() == [1, 5000]
    assert table["trials"].is_monotonic_increasing


@pytest.mark.parametrize("rows", [[], [trial(0, None, "failed")]])
def test_without_trials_there_is_no_curve(sweep_of, rows):
    table = budget_curve(sweep_of(rows))
    assert table.empty
    assert list(table) == ["variant", "trials", "expected_best", "low", "high"]
    with pytest.raises(ValueError, match="confidence = 1"):
        budget_curve(sweep_of(rows), confidence=1)


def test_diverged_trials_are_in_the_budget_though_untrained_ones_are_not_known(sweep_of):
    rows = [trial(0, 5.0), trial(1, 8.0), trial(2, None, "diverged")]
    table = budget_curve(sweep_of(rows, untrained={}))
    assert table["expected_best"].tolist() == pytest.approx([7, (5 + 5 + 8) / 3, 5])
    assert budget_curve(sweep_of(rows[2:], untrained={})).empty
