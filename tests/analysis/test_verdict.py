import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.schema import HISTORY, TRIALS
from analysis.thresholds import Thresholds
from analysis.verdict import judge

DECAY = 300.0


def verdict(writer, thresholds=None, control=True, **truth):
    """The row of one member of which this is true."""
    writer.members(writer.member(**truth))
    if control:
        writer.control()
    return judge(writer.load(), thresholds).iloc[0]


def collapsing(writer, k, at, until=99):
    """Shares that are even over k classes from one rung to another, else over all."""
    return lambda r: writer.even(k if at <= r < until else 10)


def test_a_sound_member_is_healthy_and_says_by_how_much(writer):
    row = verdict(writer)
    assert row["verdict"] == "healthy"
    assert row[["rule", "also", "unjudged"]].tolist() == ["", "", ""]
    assert row["metric"] == "frechet_distance"
    assert row["window"] == "steps 1600-2000"
    assert row["value"] == pytest.approx(5, abs=1e-4)
    assert row["threshold"] == pytest.approx(0.25 * 320)
    assert row["control"] == 320
    assert row["onset_step"] is pd.NA
    assert row["recovered"] is pd.NA


@pytest.mark.parametrize(("loss", "d_loss"), [("lsgan", 0.25), ("hinge", 2.0), ("wgan", -3.0)])
def test_every_loss_can_be_healthy_at_its_own_equilibrium(writer, loss, d_loss):
    # A critic's accuracies are null.
    nulls = {} if loss != "wgan" else {"real_accuracy": None, "fake_accuracy": None}
    row = verdict(
        writer,
        hyperparameters={"loss": loss, "label_smoothing": None},
        signals=lambda r: {"d_loss": d_loss, **nulls},
    )
    assert row["verdict"] == "healthy"
    assert row["unjudged"] == ("d_loss_gone" if loss == "wgan" else "")


@pytest.mark.parametrize("k", range(1, 10))
def test_a_collapse_to_k_of_10_classes_is_found_at_its_onset(writer, k):
    row = verdict(writer, shares=collapsing(writer, k, at=9))
    assert row["verdict"] == ("mode_collapse" if k < 5 else "partial_collapse")
    rule, metric = {
        **dict.fromkeys(range(1, 5), ("few_modes", "mode_entropy")),
        **dict.fromkeys(range(5, 9), ("fewer_modes", "mode_entropy")),
        9: ("missing_class", "class_share_of_real"),
    }[k]
    assert (row["rule"], row["metric"]) == (rule, metric)
    assert row["value"] == pytest.approx(k if k < 9 else 0)
    assert row["onset_step"] == 900
    assert row["recovered"] == False  # noqa: E712
    assert "oscillating" not in row["also"]


def test_the_evidence_of_collapse_is_in_modes_beside_those_of_real_images(writer):
    row = verdict(writer, shares=collapsing(writer, 3, at=9))
    assert row[["value", "threshold", "control"]].tolist() == pytest.approx([3, 5, 10])
    assert row["also"] == "fewer_modes, missing_class"


def test_a_collapse_from_the_start_has_its_onset_at_0(writer):
    assert verdict(writer, shares=lambda r: writer.even(2))["onset_step"] == 0


def test_a_member_that_recovered_is_healthy_and_says_when_it_collapsed(writer):
    row = verdict(writer, shares=collapsing(writer, 1, at=7, until=12))
    assert row["verdict"] == "healthy"
    assert row["rule"] == "few_modes"
    assert row["onset_step"] == 700
    assert row["recovered"]
    assert row["value"] == pytest.approx(10)


def test_a_dip_at_the_last_evaluation_alone_is_no_collapse(writer):
    assert verdict(writer, shares=collapsing(writer, 3, at=20))["verdict"] == "healthy"


@pytest.mark.parametrize(
    ("spread", "expected"),
    [(0.01, "mode_collapse"), (0.88, "partial_collapse"), (0.95, "healthy"), (1.3, "healthy")],
)
def test_samples_too_narrow_within_their_modes_are_a_collapse(writer, spread, expected):
    assert verdict(writer, spread=lambda r: spread)["verdict"] == expected


def test_modes_are_judged_by_those_of_the_real_images_and_not_by_their_number(writer):
    shares = np.array([0.82] + [0.02] * 9)
    writer.members(writer.member(shares=lambda r: shares))
    writer.control(real_shares=shares)
    assert judge(writer.load())["verdict"].tolist() == ["healthy"]


def test_a_member_that_diverged_says_at_which_step(writer):
    row = verdict(writer, status="diverged", rungs=12, row={"diverged_step": 1234})
    assert row[["verdict", "rule", "window"]].tolist() == [
        "diverged",
        "not_finite",
        "steps 0-1234",
    ]
    assert row["value"] == row["onset_step"] == 1234


def test_divergence_at_the_first_step_needs_no_history(writer):
    diverged = writer.member(status="diverged", rungs=0, row={"diverged_step": 1})
    writer.part("trials", [diverged.ended()], TRIALS)
    assert judge(writer.load())["verdict"].tolist() == ["diverged"]


def test_steps_that_were_not_finite_are_divergence_whatever_the_status_says(writer):
    row = verdict(writer, signals=lambda r: {"nonfinite_steps": int(r >= 13)})
    assert row["verdict"] == "diverged"
    assert row["onset_step"] == 1300


def test_gradients_that_explode_are_divergence(writer):
    def signals(r):
        high = r > 16
        return {"grad_norm_g_above_100_share": 0.5 * high, "grad_norm_g": 900.0 if high else 2.0}

    row = verdict(writer, signals=signals)
    assert row[["verdict", "rule", "control"]].tolist() == ["diverged", "grad_norm_g_exploded", 2.0]


def test_gradients_that_were_always_great_did_not_explode(writer):
    signals = {"grad_norm_g_above_100_share": 1.0, "grad_norm_g": 900.0}
    assert verdict(writer, signals=lambda r: signals)["verdict"] == "healthy"


def test_samples_far_worse_than_untrained_ones_are_divergence(writer):
    row = verdict(writer, frechet=lambda r: 5.0 if r < 12 else 2000.0)
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["diverged", "samples_exploded", 1200]
    assert row["also"] == "late_collapse, unfinished"


def saturated(floor):
    return lambda r: {"d_loss": 2 * np.log(2) if r < 8 else floor + 1e-3}


@pytest.mark.parametrize(
    ("loss", "smoothing", "floor"),
    [("nonsaturating", 0.0, 0.0), ("minimax", 0.1, 0.325083), ("lsgan", None, 0.0)],
)
def test_a_d_whose_loss_is_at_its_floor_is_saturated(writer, loss, smoothing, floor):
    row = verdict(
        writer,
        hyperparameters={"loss": loss, "label_smoothing": smoothing},
        signals=saturated(floor),
    )
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["d_saturated", "d_loss_gone", 800]
    assert row["value"] == pytest.approx(1e-3, abs=1e-6)


def test_the_floor_of_smoothed_labels_is_no_floor_without_smoothing(writer):
    row = verdict(writer, signals=saturated(0.325083))
    assert row["verdict"] == "healthy"


@pytest.mark.parametrize(("gradient", "expected"), [(0.1, "d_saturated"), (0.3, "healthy")])
def test_a_d_that_is_always_right_is_saturated_where_gs_gradient_is_gone(
    writer, gradient, expected
):
    right = {"real_accuracy": 1.0, "fake_accuracy": 0.995, "grad_norm_g": gradient}
    row = verdict(writer, signals=lambda r: right if r > 10 else {})
    assert row["verdict"] == expected


def rising(factor, at):
    return lambda r: 5 + DECAY * np.exp(-r) if r < at else factor * 5


def test_a_late_collapse_is_found_at_its_onset(writer):
    row = verdict(writer, frechet=rising(4, at=15))
    assert row[["verdict", "onset_step", "recovered"]].tolist() == ["late_collapse", 1500, False]
    assert row["window"] == "steps 1700-2000"
    assert row["value"] == pytest.approx(20)
    assert row["control"] == pytest.approx(5, abs=1e-3)
    assert row["threshold"] == pytest.approx(15, abs=1e-3)


def test_a_rise_below_the_ratio_or_one_that_recovered_is_healthy(writer):
    assert verdict(writer, frechet=rising(2.9, at=15))["verdict"] == "healthy"
    writer.members(
        writer.member(1, frechet=lambda r: 50.0 if 9 <= r < 14 else 5 + DECAY * np.exp(-r))
    )
    row = judge(writer.load()).iloc[1]
    assert row[["verdict", "rule", "onset_step", "recovered"]].tolist() == [
        "healthy",
        "late_collapse",
        900,
        True,
    ]


def test_a_rise_at_the_last_two_evaluations_is_not_yet_decided(writer):
    row = verdict(writer, frechet=rising(10, at=19))
    assert row[["verdict", "rule"]].tolist() == ["undetermined", "decline_unconfirmed"]
    assert row["onset_step"] == 1900


def test_chance_near_the_score_of_real_images_is_no_late_collapse(writer):
    # Four times the best, but that was a tenth of what real images score.
    row = verdict(writer, frechet=lambda r: 0.06 if r == 6 else 0.24)
    assert row["verdict"] == "healthy"


def test_modes_that_change_at_every_evaluation_are_an_oscillation(writer):
    row = verdict(writer, shares=lambda r: np.roll(writer.even(3), 3 * r))
    assert row[["verdict", "metric"]].tolist() == ["oscillating", "mode_change"]
    assert row["value"] == pytest.approx(1, abs=0.02)
    assert row["threshold"] == 0.25
    # No class is missing from the window as a whole.
    assert row["also"] == "few_modes, fewer_modes"


def test_few_samples_do_not_make_an_oscillation(writer):
    rng = np.random.default_rng(0)
    # 20 samples of the same shares differ by .37 in total variation.
    member = writer.member(shares=lambda r: rng.multinomial(20, writer.even(10)) / 20)
    history = [row | {"eval_images": 20} for row in member.history()]
    writer.part("history", history, HISTORY)
    writer.part("trials", [member.ended()], TRIALS)
    writer.control(images=20)
    assert "oscillating" not in judge(writer.load())[["verdict", "also"]].to_numpy()


@pytest.mark.parametrize(
    ("rungs", "expected", "unjudged"),
    [(10, "oscillating", ""), (9, "partial_collapse", "oscillating")],
)
def test_an_oscillation_takes_10_evaluations_to_see(writer, rungs, expected, unjudged):
    row = verdict(
        writer,
        rungs=rungs,
        every=200,
        shares=lambda r: np.roll(writer.even(6), 3 * (r % 2)),
        frechet=lambda r: 5.0,
    )
    assert row["verdict"] == expected
    assert row["unjudged"] == unjudged


def test_a_generator_that_never_left_its_start_is_undertrained_and_not_collapsed(writer):
    row = verdict(
        writer,
        frechet=lambda r: 300.0,
        shares=lambda r: writer.even(2),
        spread=lambda r: 0.06,
    )
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["undertrained", "untrained", 0]
    assert "few_modes" in row["unjudged"]


def test_modes_that_noise_seemed_to_have_are_no_modes_lost(writer):
    def shares(r):
        return writer.even(8 if r < 4 else 2)

    # Near the untrained generator's Frechet distance until rung 4.
    row = verdict(writer, shares=shares, frechet=lambda r: 310.0 if r < 4 else 60.0)
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["mode_collapse", "few_modes", 0]


def test_a_generator_far_from_real_is_undertrained(writer):
    row = verdict(writer, frechet=lambda r: 300 * 0.98**r)
    assert row[["verdict", "rule"]].tolist() == ["undertrained", "unfinished"]


def growing(writer):
    """Modes are found one after the other while the Frechet distance falls."""
    return {
        "frechet": lambda r: 300 * 0.9**r,
        "shares": lambda r: writer.even(min(1 + r // 3, 10)),
    }


def test_a_generator_that_is_still_finding_modes_is_undertrained_and_not_collapsed(writer):
    row = verdict(writer, **growing(writer))
    assert row[["verdict", "rule", "metric"]].tolist() == [
        "undertrained",
        "improving",
        "frechet_distance",
    ]
    assert row["value"] / row["control"] == pytest.approx(0.9**4)
    assert "fewer_modes" in row["also"]


def test_modes_lost_while_the_rest_improves_are_a_collapse(writer):
    truth = growing(writer) | {"shares": collapsing(writer, 3, at=15)}
    row = verdict(writer, **truth)
    assert row[["verdict", "onset_step"]].tolist() == ["mode_collapse", 1500]


def test_a_generator_that_improves_and_lacks_nothing_is_healthy(writer):
    assert verdict(writer, frechet=lambda r: 80 * 0.9**r)["verdict"] == "healthy"


def test_a_pruned_member_without_a_fault_is_undertrained(writer):
    row = verdict(writer, status="pruned", rungs=12)
    assert row[["verdict", "rule"]].tolist() == ["undertrained", "pruned"]
    assert row[["value", "control"]].tolist() == [1200, 2000]


def test_a_pruned_member_with_a_fault_is_told_the_fault(writer):
    row = verdict(writer, status="pruned", rungs=12, shares=collapsing(writer, 3, at=6))
    assert row[["verdict", "onset_step"]].tolist() == ["mode_collapse", 600]


@pytest.mark.parametrize("status", ["complete", "pruned"])
@pytest.mark.parametrize(
    ("rungs", "every", "rule"),
    [(5, 1000, "few_evaluations"), (0, 100, "few_evaluations"), (39, 10, "few_steps")],
)
def test_too_few_rungs_or_steps_are_undetermined(writer, status, rungs, every, rule):
    row = verdict(writer, status=status, rungs=rungs, every=every, shares=lambda r: writer.even(1))
    assert row[["verdict", "rule", "also"]].tolist() == ["undetermined", rule, ""]


def test_a_member_that_failed_is_undetermined(writer):
    failed = writer.member(status="failed", rungs=0, attempt=3, row={"steps": None})
    writer.part("trials", [failed.ended()], TRIALS)
    row = judge(writer.load()).iloc[0]
    assert row[["verdict", "rule"]].tolist() == ["undetermined", "failed"]


def test_a_history_that_does_not_reach_the_end_is_undetermined(writer):
    row = verdict(writer, rungs=15, row={"steps": 2000})
    assert row[["verdict", "rule"]].tolist() == ["undetermined", "history_ends_early"]


def test_history_of_another_attempt_is_not_held_against_a_member(writer):
    writer.members(writer.member(0))
    writer.members(writer.member(0, attempt=1, shares=lambda r: writer.even(1)), ended=False)
    writer.control()
    assert judge(writer.load())["verdict"].tolist() == ["undetermined"]


def test_without_the_control_no_member_is_healthy(writer):
    row = verdict(writer, control=False)
    assert row["verdict"] == "undetermined"
    assert "few_modes" in row["unjudged"]


@pytest.mark.parametrize("unmeasured", [np.nan, np.inf])
def test_metrics_that_were_not_finite_are_undetermined_and_do_not_spread(writer, unmeasured):
    writer.members(writer.member(1))
    row = verdict(writer, frechet=lambda r: unmeasured)
    assert row[["verdict", "metric", "rule"]].tolist() == [
        "undetermined",
        "frechet_recent_least",
        "",
    ]
    assert judge(writer.load())["verdict"].tolist() == ["undetermined", "healthy"]


def test_neighbours_do_not_change_a_verdict(writer):
    truths = [
        writer.member(0),
        writer.member(1, shares=collapsing(writer, 3, at=9)),
        writer.member(2, rungs=3, status="diverged", row={"diverged_step": 350}),
        writer.member(3, seed=1, frechet=rising(4, at=15)),
        writer.member(3, seed=0, rungs=40),
    ]
    writer.members(*truths)
    writer.control()
    sweep = writer.load()
    together = judge(sweep)
    alone = [
        judge(dataclasses.replace(sweep, trials=sweep.trials.iloc[[i]]))
        for i in range(len(sweep.trials))
    ]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True))


def test_a_member_still_in_training_has_no_row(writer):
    writer.members(writer.member(0))
    writer.members(writer.member(1, rungs=7), ended=False)
    writer.control()
    assert judge(writer.load())["trial"].tolist() == [0]


def test_no_members_have_no_verdicts_but_every_column(writer):
    empty = judge(writer.load())
    writer.members(writer.member(0))
    writer.control()
    full = judge(writer.load())
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)


def test_thresholds_can_be_given(writer):
    writer.members(writer.member(shares=lambda r: writer.even(6)))
    writer.control()
    sweep = writer.load()
    assert judge(sweep)["verdict"].tolist() == ["partial_collapse"]
    strict = Thresholds(modes_severe=0.7)
    assert judge(sweep, strict)["verdict"].tolist() == ["mode_collapse"]
