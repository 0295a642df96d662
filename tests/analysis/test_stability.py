import numpy as np
import pandas as pd
import pytest

from analysis.stability import (
    decline,
    discriminator,
    gradients,
    loss_anchors,
    mode_changes,
    oscillation,
    saturation,
)

LOSSES = ["minimax", "nonsaturating", "dragan", "r1", "lsgan", "hinge", "relativistic", "r3gan"]
CRITICS = ["wasserstein", "wgan", "wgan-gp"]


def anchors(loss, smoothing=None):
    trials = pd.DataFrame({"loss": [loss], "label_smoothing": [smoothing]})
    row = loss_anchors(trials).iloc[0]
    return row["d_loss_equilibrium"], row["d_loss_floor"]


def rungs(count, **columns):
    """One member from rung 0 on, a step to a rung."""
    rung = np.arange(count + 1)
    frame = pd.DataFrame({"trial": 0, "seed": 0, "rung": rung, "step": rung})
    return frame.assign(interval_steps=1, **columns)


def draws(p, count, images, seed=0):
    """Mode histograms of `images` samples at each rung."""
    rng = np.random.default_rng(seed)
    return [rng.multinomial(images, q) / images for q in np.broadcast_to(p, (count + 1, 10))]


def test_equilibria_are_those_of_a_d_that_cannot_tell():
    expected = [2 * np.log(2)] * 4 + [0.25, 2.0, np.log(2), np.log(2)]
    assert [anchors(loss)[0] for loss in LOSSES] == pytest.approx(expected)
    assert [anchors(loss)[1] for loss in LOSSES] == [0] * 8
    assert np.isnan([anchors(loss) for loss in CRITICS]).all()


def test_gs_loss_has_an_anchor_where_it_grows_as_d_rejects_its_samples():
    trials = pd.DataFrame({"loss": [*LOSSES, *CRITICS], "label_smoothing": None})
    found = loss_anchors(trials)["g_loss_equilibrium"].set_axis(trials["loss"])
    unbounded = ["nonsaturating", "dragan", "r1", "relativistic", "r3gan"]
    assert found.dropna().to_dict() == pytest.approx(dict.fromkeys(unbounded, np.log(2)))
    smoothed = loss_anchors(pd.DataFrame({"loss": ["r1"], "label_smoothing": [0.1]}))
    # D = .45 on both at equilibrium.
    assert smoothed["g_loss_equilibrium"].item() == pytest.approx(-np.log(0.45))


def test_smoothing_moves_both_equilibrium_and_floor():
    # -0.9 ln 0.45 - 0.1 ln 0.55 - ln 0.55, and the entropy of (0.9, 0.1)
    assert anchors("nonsaturating", 0.1) == pytest.approx((1.376278, 0.325083), abs=1e-6)
    assert anchors("minimax", 0.0) == pytest.approx((2 * np.log(2), 0.0))


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.1, 0.3])
def test_the_anchors_are_minima_of_the_loss_itself(smoothing):
    t = 1 - smoothing
    d = np.linspace(1e-6, 1 - 1e-6, 200_001)
    real = -t * np.log(d) - smoothing * np.log(1 - d)
    equilibrium, floor = anchors("nonsaturating", smoothing)
    # One D for both, real and fake being the same; and one for each, fake's going to 0. The grid
    # is 5e-6 fine and the loss is flat at its minimum; the edge cuts 1e-6 off.
    assert (real - np.log(1 - d)).min() == pytest.approx(equilibrium, abs=1e-8)
    assert real.min() == pytest.approx(floor, abs=2e-6)


def test_d_accuracy_is_the_lower_of_both_and_nan_where_one_is_missing():
    frame = pd.DataFrame(
        {
            "real_accuracy_mean": [0.9, 0.7, np.nan],
            "fake_accuracy_mean": [0.8, 1.0, 1.0],
            "d_loss_mean": [0.5, np.nan, 1.0],
            "d_loss_floor": 0.3,
        }
    )
    found = discriminator(frame)
    np.testing.assert_allclose(found["d_accuracy"], [0.8, 0.7, np.nan])
    np.testing.assert_allclose(found["d_loss_excess"], [0.2, np.nan, 0.7])


def test_saturation_compares_the_windows_gradient_with_the_early_one():
    frame = rungs(10, d_loss_excess=0.1, d_accuracy=1.0, g_loss_mean=0.7)
    frame["grad_norm_g_mean"] = [np.nan, 8, 6, 5, 5, 5, 5, 5, 1, 2, 3]
    found = saturation(frame, frame["rung"] >= 8, early_share=0.2).iloc[0]
    assert found["grad_norm_g"] == 2
    assert found["grad_norm_g_early"] == 7
    assert found[["d_loss_excess", "d_accuracy", "g_loss"]].tolist() == [0.1, 1.0, 0.7]


def test_gradients_of_the_window_are_held_against_the_whole_run():
    frame = rungs(4)
    for signal in ("grad_norm_d", "grad_norm_g"):
        frame[f"{signal}_mean"] = [np.nan, 1, 2, 3, 100]
        frame[f"{signal}_max"] = [np.nan, 999, 4, 5, 700]
        frame[f"{signal}_above_100_share"] = [np.nan, 0, 0, 0, 0.5]
    found = gradients(frame, frame["rung"] >= 3).iloc[0]
    assert found["grad_norm_g_run"] == 2.5
    assert found["grad_norm_g_max"] == 700
    assert found["grad_norm_d_above_100_share"] == 0.25


def test_decline_is_from_the_best_that_is_not_better_than_luck():
    frame = rungs(6, frechet_distance=[0.01, 9, 0.2, 5, 8, 7, 6])
    found = decline(frame, frame["rung"] >= 4, floor=0.6, evaluations=3).iloc[0]
    assert found.to_dict() == {
        "frechet_distance": 7,
        "frechet_before": 5,
        "frechet_best": 0.6,
        "frechet_recent_least": 6,
        "frechet_last": 6,
    }
    unknown = decline(frame, frame["rung"] >= 4, floor=np.nan, evaluations=3)
    assert unknown["frechet_best"].item() == 0.2


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        # Worse just before, but as good once; a single lucky one; still coming down.
        ([9, 5, 5, 5, 9, 9, 9], 5),
        ([9, 8, 1, 8, 8, 8, 8], 8),
        ([9, 8, 7, 6, 5, 4, 3], 4),
        ([9, 2, 9, 2, 9, 2, 9], 2),
        ([9, np.nan, 4, np.inf, 6, 9, 9], 5),
    ],
)
def test_an_improvement_is_over_the_best_stretch_before_the_window(before, expected):
    frame = rungs(9, frechet_distance=[*before, 2, 3, 4])
    found = decline(frame, frame["rung"] >= 7, floor=0.6, evaluations=3).iloc[0]
    assert found["frechet_distance"] == 3
    assert found["frechet_before"] == expected


def test_each_member_has_its_own_stretch_before_its_own_window():
    first = rungs(6, frechet_distance=[9, 6, 6, 6, 1, 1, 1])
    second = rungs(8, frechet_distance=[9, 8, 8, 7, 7, 2, 2, 2, 2]).assign(trial=1)
    frame = pd.concat([first, second], ignore_index=True)
    found = decline(frame, frame["frechet_distance"] <= 2, floor=0.6, evaluations=3)
    assert found["frechet_before"].to_dict() == {(0, 0): 6, (1, 0): 7.5}


@pytest.mark.parametrize("unmeasured", [np.nan, np.inf])
def test_a_decline_is_not_judged_by_evaluations_that_were_not_finite(unmeasured):
    frame = rungs(6, frechet_distance=[9, 9, 1, 5, 8, unmeasured, 6])
    found = decline(frame, frame["rung"] >= 4, floor=0.6, evaluations=3).iloc[0]
    assert np.isnan(found["frechet_recent_least"])
    assert found["frechet_distance"] == 7


@pytest.mark.parametrize("images", [50, 200, 1000])
def test_sampling_alone_is_no_change_of_modes(images):
    frame = rungs(400, mode_histogram=draws(np.full(10, 0.1), 400, images), eval_images=images)
    shares = np.stack(frame["mode_histogram"].tolist())
    raw = np.abs(np.diff(shares[1:], axis=0)).sum(1).mean() / 2
    found = mode_changes(frame)
    # The normal approximation is within 2% at 5 expected samples to a class; 400 draws give 2%.
    assert found["mode_change_noise"].mean() == pytest.approx(raw, rel=0.05)
    # Half of the draws are above their mean, but hardly.
    assert found["mode_change"].median() < 0.3 * raw


def test_a_true_change_is_measured_in_spite_of_the_noise():
    p = np.array([[0.2] * 5 + [0] * 5, [0.1] * 10])[np.arange(41) % 2]
    frame = rungs(40, mode_histogram=draws(p, 40, 300), eval_images=300)
    assert mode_changes(frame)["mode_change"].median() == pytest.approx(0.5, abs=0.03)


def test_total_variation_is_1_for_modes_that_swap_and_symmetric():
    one, other = np.eye(10)[0], np.eye(10)[7]
    frame = rungs(3, mode_histogram=[one, one, other, one], eval_images=10**9)
    found = mode_changes(frame)["mode_change"]
    np.testing.assert_allclose(found, [np.nan, np.nan, 1, 1], atol=1e-4)


def test_changes_are_within_a_member_and_null_histograms_give_none():
    one, other = np.eye(10)[0], np.eye(10)[7]
    first = rungs(2, mode_histogram=[one] * 3, eval_images=100)
    second = rungs(3, mode_histogram=[other, other, None, other], eval_images=100)
    frame = pd.concat([first, second.assign(trial=1)], ignore_index=True)
    found = mode_changes(frame)["mode_change"].tolist()
    assert found == pytest.approx([np.nan, np.nan, 0, np.nan, np.nan, np.nan, np.nan], nan_ok=True)


def test_oscillation_needs_as_many_evaluations_as_asked_for():
    frame = rungs(12, mode_change=0.4, mode_change_noise=0.1)
    for changes, expected in ((9, 0.4), (8, np.nan)):
        inside = frame["rung"] > 12 - changes
        found = oscillation(frame, inside, evaluations=10)["mode_change"]
        assert found.item() == pytest.approx(expected, nan_ok=True)
