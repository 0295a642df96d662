import numpy as np
import pandas as pd
import pytest

from analysis.collapse import class_share_of_real, diversity, histograms, modes_reached

REAL = np.full(10, 0.1)


def rungs(shares, images=1000, **columns):
    rung = np.arange(1, len(shares) + 1)
    frame = pd.DataFrame({"trial": 0, "seed": 0, "rung": rung, "mode_histogram": list(shares)})
    columns = {"mode_entropy": 10.0, "feature_spread": 1.0} | columns
    columns = {"within_class_spread": 1.0, "hq_share": np.nan} | columns
    return frame.assign(eval_images=images, **columns)


def least(shares, images=1000, real=REAL, expected=20.0):
    found = class_share_of_real(
        np.atleast_2d(shares), np.array([images]), real, expected_images=expected
    )
    return found[0]


def pooled(frame, real=REAL):
    found = diversity(frame, frame["rung"] > 0, real=real, expected_images=20)
    return found["class_share_of_real"].item()


def test_real_samples_have_every_class_at_its_share():
    assert least(REAL) == pytest.approx(1)


@pytest.mark.parametrize("k", range(1, 10))
def test_a_collapse_to_k_classes_leaves_a_class_out(k):
    assert least([1 / k] * k + [0] * (10 - k)) == 0


def test_the_class_most_left_out_counts_relative_to_its_own_share():
    real = np.array([0.4] * 2 + [0.025] * 8)
    shares = np.array([0.39, 0.41] + [0.025] * 7 + [0.005])
    assert least(shares, real=real) == pytest.approx(0.2)
    assert least(shares[::-1], real=real[::-1]) == pytest.approx(0.2)


def test_a_class_too_rare_among_the_samples_accuses_nobody():
    real = np.array([0.11] * 9 + [0.01])
    shares = np.array([1 / 9] * 9 + [0])
    assert least(shares, images=1999, real=real) == pytest.approx(1 / 9 / 0.11)
    assert least(shares, images=2000, real=real) == 0
    assert np.isnan(least(REAL, images=100))


def test_shares_that_are_not_known_give_nan():
    assert np.isnan(least(np.full(10, np.nan)))


def test_the_window_is_pooled_so_that_modes_may_take_turns():
    turns = [np.eye(10)[c] for c in range(10)]
    assert pooled(rungs(turns)) == pytest.approx(1)
    assert pooled(rungs(turns[:9])) == 0


def test_pooling_weighs_by_samples_and_passes_over_null_histograms():
    frame = rungs([REAL, np.eye(10)[0], None], images=[900, 100, 500])
    # 9 classes have 0.9 of 0.1
    assert pooled(frame) == pytest.approx(0.9)


def test_members_are_pooled_apart():
    one, two = rungs([REAL] * 2), rungs([np.eye(10)[0]] * 2).assign(seed=1)
    frame = pd.concat([one, two], ignore_index=True)
    found = diversity(frame, frame["rung"] > 0, real=REAL, expected_images=20)
    assert found["class_share_of_real"].tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize("real", [np.empty(0), np.full(8, 1 / 8)])
def test_without_a_control_of_as_many_classes_the_share_is_not_judged(real):
    assert np.isnan(pooled(rungs([REAL]), real=real))


@pytest.mark.parametrize(
    "name", ["mode_entropy", "feature_spread", "within_class_spread", "hq_share"]
)
def test_modes_spread_and_quality_are_medians(name):
    frame = rungs([REAL] * 3, **{name: [1, 0.1, 0.9]})
    found = diversity(frame, frame["rung"] > 0, real=REAL, expected_images=20)
    assert found[name].item() == 0.9


def test_modes_reached_are_those_before_the_window():
    frame = rungs([REAL] * 5, mode_entropy=[np.nan, 3, np.inf, 2, 7])
    for start, expected in ((5, 3), (2, np.nan)):
        found = modes_reached(frame, frame["rung"] >= start)["modes_reached"].item()
        assert found == pytest.approx(expected, nan_ok=True)


def test_histograms_are_stacked_with_nan_where_null():
    frame = pd.DataFrame({"mode_histogram": [None, np.array([0.5, 0.5])]})
    np.testing.assert_array_equal(histograms(frame), [[np.nan, np.nan], [0.5, 0.5]])
    assert histograms(frame[:1]).shape == (1, 0)
    assert histograms(frame[:0]).shape == (0, 0)
