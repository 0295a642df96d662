import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.collapse import histograms
from analysis.schema import END_METRICS, HISTORY, SPECTRAL_NORMS, TRIALS
from analysis.thresholds import Thresholds
from analysis.verdict import judge

DECAY = 300.0


def verdict(writer, thresholds=None, control=True, **truth):
    """The row of one member of which this is true."""
    writer.members(writer.member(**truth))
    if control:
        writer.control()
    return judge(writer.load(), thresholds).iloc[0]


def verdicts(writer, truths):
    """The rows of as many members, in their order; none depends on its neighbours."""
    writer.members(*(writer.member(trial, **truth) for trial, truth in enumerate(truths)))
    writer.control()
    return judge(writer.load())


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


def test_every_loss_can_be_healthy_at_its_own_equilibrium(writer):
    # A critic's accuracies are null.
    nulls = {"real_accuracy": None, "fake_accuracy": None}
    signals = {"lsgan": {"d_loss": 0.25}, "hinge": {"d_loss": 2.0}, "wgan": {"d_loss": -3, **nulls}}
    found = verdicts(
        writer,
        [
            {
                "hyperparameters": {"loss": loss, "label_smoothing": None},
                "signals": lambda r, own=own: own,
            }
            for loss, own in signals.items()
        ],
    )
    assert found["verdict"].tolist() == ["healthy"] * 3
    assert found["unjudged"].tolist() == ["", "", "d_loss_gone, g_rejected"]


def test_a_collapse_to_k_of_10_classes_is_found_at_its_onset(writer):
    found = verdicts(writer, [{"shares": collapsing(writer, k, at=9)} for k in range(1, 10)])
    assert found["verdict"].tolist() == ["mode_collapse"] * 4 + ["partial_collapse"] * 5
    assert found["rule"].tolist() == ["few_modes"] * 4 + ["fewer_modes"] * 4 + ["missing_class"]
    assert found["metric"].tolist() == ["mode_entropy"] * 8 + ["class_share_of_real"]
    assert found["value"].tolist() == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 0])
    assert found["onset_step"].tolist() == [900] * 9
    assert found["recovered"].tolist() == [False] * 9
    assert not found["also"].str.contains("oscillating").any()


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


def test_samples_too_narrow_within_their_modes_are_a_collapse(writer):
    widths = (0.01, 0.88, 0.92, 1.3)
    found = verdicts(
        writer, [{"within": lambda r, width=width: width if r > 9 else 1.0} for width in widths]
    )
    assert found["verdict"].tolist() == ["mode_collapse", "partial_collapse", "healthy", "healthy"]
    assert found["rule"].tolist() == ["narrow_within", "narrower_within", "", ""]
    assert found["onset_step"].tolist() == [1000, 1000, pd.NA, pd.NA]


def test_a_member_that_recovered_its_width_is_healthy_and_says_when_it_had_lost_it(writer):
    row = verdict(writer, within=lambda r: 0.1 if 5 <= r < 9 else 1.0)
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["healthy", "narrow_within", 500]
    assert row["recovered"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (True, ["mode_collapse", "healthy", "healthy"]),
        (False, ["mode_collapse", "partial_collapse", "healthy"]),
    ],
)
def test_the_whole_width_is_judged_severely_where_that_within_modes_is_known(
    writer, told, expected
):
    spreads = {0: 0.01, 1: 0.88, 2: 0.95}
    writer.members(*(writer.member(trial, spread=lambda r, s=s: s) for trial, s in spreads.items()))
    writer.control()
    sweep = writer.load()
    if not told:
        sweep.control["within_class_spread"] = np.nan
    assert judge(sweep)["verdict"].tolist() == expected


def test_samples_that_leave_much_of_the_reference_out_are_a_partial_collapse(writer):
    cases = [
        ({"coverage_k5": 0.86}, "partial_collapse", "covers_little"),
        ({"coverage_k5": 0.88}, "healthy", ""),
        # Of poor samples too few are in any one place to cover it.
        ({"coverage_k5": 0.6, "precision_k5": 0.9}, "healthy", ""),
        ({"density_k5": 1.6, "recall_k5": 0.4}, "partial_collapse", "crowded"),
        ({"density_k5": 1.4, "recall_k5": 0.4}, "healthy", ""),
        ({"density_k5": 1.6, "recall_k5": 0.5}, "healthy", ""),
    ]
    found = verdicts(writer, [{"at_end": at_end} for at_end, _, _ in cases])
    assert found["verdict"].tolist() == [expected for _, expected, _ in cases]
    assert found["rule"].tolist() == [rule for _, _, rule in cases]
    assert found["window"][found["rule"] != ""].tolist() == ["step 2000"] * 2
    assert found["onset_step"].isna().all()


def test_a_copy_of_the_training_images_is_remarked_on_and_no_verdict(writer):
    row = verdict(writer, at_end={"nearest_train_ratio": 0.1})
    assert row[["verdict", "rule", "also"]].tolist() == ["healthy", "", "copies"]


def test_a_low_loss_of_d_with_few_modes_is_remarked_on_beside_the_collapse(writer):
    truth = {"shares": lambda r: writer.even(6), "signals": lambda r: {"d_loss": 0.5}}
    row = verdict(writer, **truth)
    assert row["verdict"] == "partial_collapse"
    assert row["also"] == "missing_class, d_loss_low_few_modes"


def test_a_d_that_is_ahead_gives_no_hope_that_lost_modes_come(writer):
    truth = growing(writer) | {"signals": lambda r: {"d_loss": 0.5}}
    assert verdict(writer, **truth)["verdict"] == "partial_collapse"


def test_a_decline_that_is_no_collapse_yet_is_remarked_on(writer):
    row = verdict(writer, frechet=rising(1.6, at=15))
    assert row[["verdict", "also"]].tolist() == ["healthy", "declining"]


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
    assert row["also"] == "late_collapse, unfinished, declining"


def saturated(floor):
    return lambda r: {"d_loss": 2 * np.log(2) if r < 8 else floor + 1e-3}


def test_a_d_whose_loss_is_at_its_floor_is_saturated(writer):
    floors = [("nonsaturating", 0.0, 0.0), ("minimax", 0.1, 0.325083), ("lsgan", None, 0.0)]
    found = verdicts(
        writer,
        [
            {
                "hyperparameters": {"loss": loss, "label_smoothing": smoothing},
                "signals": saturated(floor),
            }
            for loss, smoothing, floor in floors
        ],
    )
    seen = found[["verdict", "rule", "onset_step"]].to_numpy().tolist()
    assert seen == [["d_saturated", "d_loss_gone", 800]] * 3
    assert found["value"].tolist() == pytest.approx([1e-3] * 3, abs=1e-6)


def test_the_floor_of_smoothed_labels_is_no_floor_without_smoothing(writer):
    row = verdict(writer, signals=saturated(0.325083))
    assert row["verdict"] == "healthy"


def test_a_d_that_is_always_right_is_saturated_where_gs_gradient_is_gone(writer):
    def right(gradient):
        signals = {"real_accuracy": 1.0, "fake_accuracy": 0.995, "grad_norm_g": gradient}
        return {"signals": lambda r: signals if r > 10 else {}}

    found = verdicts(writer, [right(0.1), right(0.3)])
    assert found["verdict"].tolist() == ["d_saturated", "healthy"]


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
    recovered = {"frechet": lambda r: 50.0 if 9 <= r < 14 else 5 + DECAY * np.exp(-r)}
    found = verdicts(writer, [{"frechet": rising(2.9, at=15)}, recovered])
    assert found["verdict"][0] == "healthy"
    row = found.iloc[1]
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
    scores = [
        # Four times the best, but that was a tenth of what real images score.
        (0.06, 0.24),
        # What is luck by 898 samples is 10 / 898 of 320.
        (0.6, 10.6),
        (0.6, 10.8),
    ]
    found = verdicts(
        writer,
        [
            {"frechet": lambda r, best=best, last=last: best if r < 12 else last}
            for best, last in scores
        ],
    )
    assert found["verdict"].tolist() == ["healthy", "healthy", "late_collapse"]


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


def test_an_oscillation_takes_10_evaluations_to_see(writer):
    truth = {
        "every": 200,
        "shares": lambda r: np.roll(writer.even(6), 3 * (r % 2)),
        "frechet": lambda r: 5.0,
    }
    found = verdicts(writer, [truth | {"rungs": 10}, truth | {"rungs": 9}])
    assert found["verdict"].tolist() == ["oscillating", "partial_collapse"]
    assert found["unjudged"].tolist() == ["", "oscillating"]


def test_a_generator_that_never_left_its_start_is_undertrained_and_not_collapsed(writer):
    row = verdict(
        writer,
        frechet=lambda r: 300.0,
        shares=lambda r: writer.even(2),
        spread=lambda r: 0.06,
        at_end={"precision_k5": 0.0},
    )
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["undertrained", "untrained", 0]
    assert "few_modes" in row["unjudged"]


def test_modes_that_noise_seemed_to_have_are_no_modes_lost(writer):
    def shares(r):
        return writer.even(8 if r < 4 else 2)

    # Near the untrained generator's Frechet distance until rung 4.
    row = verdict(
        writer,
        shares=shares,
        frechet=lambda r: 310.0 if r < 4 else 60.0,
        at_end={"precision_k5": 0.3},
    )
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["mode_collapse", "few_modes", 0]


def test_one_image_that_scores_as_an_untrained_generator_is_a_collapse_and_no_noise(writer):
    row = verdict(
        writer, frechet=lambda r: 350.0, shares=lambda r: writer.even(1), spread=lambda r: 0.0
    )
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["mode_collapse", "few_modes", 0]


def test_noise_within_reach_of_one_far_off_image_is_not_taken_for_an_image(writer):
    noise = {"frechet": lambda r: 350.0, "shares": lambda r: writer.even(1)}
    ends = [{"precision_k5": 1.0, "density_k5": density} for density in (0.2, 1.0)]
    writer.members(*(writer.member(i, **noise, at_end=end) for i, end in enumerate(ends)))
    writer.control()
    sweep = writer.load()
    is_noise = sweep.control["kind"] == "untrained"
    sweep.control.loc[is_noise, ["precision_k5", "density_k5"]] = [1.0, 0.2]
    assert judge(sweep)["verdict"].tolist() == ["undertrained", "mode_collapse"]


def test_modes_lost_on_the_way_back_to_the_start_are_a_collapse_though_nothing_else_is_known(
    writer,
):
    # It was never so good that this were a late collapse.
    row = verdict(
        writer,
        frechet=lambda r: 150.0 if r < 12 else 310.0,
        shares=collapsing(writer, 1, at=12),
        at_end={"precision_k5": None},
    )
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["mode_collapse", "few_modes", 1200]


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


def test_a_distance_that_fell_by_what_is_luck_gives_no_hope(writer):
    def fell(gain):
        return {
            "frechet": lambda r: 20.0 if r < 17 else 20 - gain,
            "shares": lambda r: writer.even(8),
        }

    found = verdicts(writer, [fell(7.0), fell(7.3)])
    assert found["verdict"].tolist() == ["partial_collapse", "undertrained"]


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


def test_too_few_rungs_or_steps_are_undetermined(writer):
    found = verdicts(
        writer,
        [
            {"status": status, "rungs": rungs, "every": every, "shares": lambda r: writer.even(1)}
            for status in ("complete", "pruned")
            for rungs, every in ((5, 1000), (0, 100), (39, 10))
        ],
    )
    assert found["verdict"].tolist() == ["undetermined"] * 6
    assert found["rule"].tolist() == ["few_evaluations", "few_evaluations", "few_steps"] * 2
    assert found["also"].tolist() == [""] * 6


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


def test_samples_that_were_not_finite_are_divergence_and_do_not_spread(writer):
    broken = [
        {"frechet": lambda r, value=value: value if r >= 13 else 5.0} for value in (np.nan, np.inf)
    ]
    found = verdicts(writer, [broken[0], {}, broken[1]])
    assert found["verdict"].tolist() == ["diverged", "healthy", "diverged"]
    assert found["rule"].tolist() == ["samples_not_finite", "", "samples_not_finite"]
    assert found["onset_step"].tolist() == [1300, pd.NA, 1300]


def test_what_essential_rules_need_and_was_not_measured_is_undetermined(writer):
    found = verdicts(
        writer, [{"spread": lambda r, value=value: value} for value in (np.nan, np.inf)]
    )
    seen = found[["verdict", "metric", "rule", "unjudged"]].to_numpy().tolist()
    assert seen == [["undetermined", "feature_spread", "", "narrow"]] * 2


def without_version_2(sweep):
    """The same sweep as a gansweep of schema version 1 wrote it."""
    old = ["within_class_spread", *SPECTRAL_NORMS]
    ends = [*END_METRICS, *(f"final_{name}" for name in [*END_METRICS, "within_class_spread"])]
    frames = {
        kind: getattr(sweep, kind).drop(columns=[*old, *ends], errors="ignore")
        for kind in ("trials", "history", "control")
    }
    return dataclasses.replace(sweep, **frames)


def test_what_an_older_gansweep_did_not_measure_is_not_judged_and_not_essential(writer):
    writer.members(
        writer.member(0),
        writer.member(1, shares=collapsing(writer, 3, at=9)),
        writer.member(2, frechet=lambda r: 300.0),
        writer.member(3, spread=lambda r: 0.8),
    )
    writer.control()
    found = judge(without_version_2(writer.load()))
    assert found["verdict"].tolist() == [
        "healthy",
        "mode_collapse",
        "undertrained",
        "partial_collapse",
    ]
    assert found["rule"].tolist() == ["", "few_modes", "untrained", "narrower"]
    assert found["unjudged"][0] == "narrow_within, narrower_within, covers_little, crowded"


def test_where_a_dataset_has_no_modes_a_member_can_be_healthy_all_the_same(writer):
    writer.members(writer.member(0), writer.member(1, spread=lambda r: 0.7))
    writer.control()
    sweep = writer.load()
    for frame in (sweep.control, sweep.history):
        frame[["mode_entropy", "within_class_spread"]] = np.nan
        frame["mode_histogram"] = None
    found = judge(sweep)
    assert found["verdict"].tolist() == ["healthy", "partial_collapse"]
    assert found["unjudged"].tolist() == ["", ""]


def points(sweep, hq_share):
    """The sweep as one of a mixture, of whose points each member's share is good at all rungs."""
    shares = dict(enumerate(hq_share))
    sweep.control["hq_share"] = [0.989, 0.0]
    sweep.history["hq_share"] = sweep.history["trial"].map(shares)
    sweep.trials["final_hq_share"] = sweep.trials["trial"].map(shares)
    good = sweep.history["hq_share"].to_numpy()[:, None]
    sweep.history["mode_histogram"] = list(histograms(sweep.history) * good)
    return sweep


def test_points_that_are_no_good_are_undertrained_although_no_mode_is_missing(writer):
    writer.members(*(writer.member(trial) for trial in range(3)))
    writer.control()
    found = judge(points(writer.load(), [0.9, 0.4, 0.01]))
    assert found["verdict"].tolist() == ["healthy", "undertrained", "undertrained"]
    assert found["rule"].tolist() == ["", "poor_points", "poor_points"]
    # So few are good in the last that their modes cannot be counted.
    assert "few_modes" in found["unjudged"][2]
    assert found["value"][1] == pytest.approx(0.4)
    assert found["threshold"][1] == pytest.approx(0.989 / 2)


def test_one_mode_that_scores_as_an_untrained_generator_is_a_collapse_if_its_points_are_good(
    writer,
):
    one = {"frechet": lambda r: 350.0, "shares": lambda r: writer.even(1)}
    writer.members(*(writer.member(trial, **one) for trial in range(2)))
    writer.control()
    found = judge(points(writer.load(), [0.9, 0.3]))
    assert found["rule"].tolist() == ["few_modes", "untrained"]


def test_modes_lost_are_a_collapse_also_where_the_points_are_no_good(writer):
    writer.members(writer.member(0, shares=collapsing(writer, 2, at=9)))
    writer.control()
    row = judge(points(writer.load(), [0.2])).iloc[0]
    assert row[["verdict", "rule", "onset_step"]].tolist() == ["mode_collapse", "few_modes", 900]
    assert "poor_points" in row["also"]


def test_a_g_whose_samples_are_all_rejected_faces_a_saturated_d(writer):
    cases = [
        ("nonsaturating", 8.0, 0.1, "d_saturated"),
        ("r3gan", 8.0, 0.03, "d_saturated"),
        ("nonsaturating", 5.0, 0.1, "healthy"),
        # D is no better off, so it is not D that is too strong.
        ("nonsaturating", 8.0, 0.5, "healthy"),
        # Its G's loss grows as the critic likes.
        ("wgan", 800.0, 0.0, "healthy"),
    ]

    def rejected(loss, g_loss, d_loss):
        signals = {"g_loss": g_loss, "d_loss": d_loss}
        return {
            "hyperparameters": {"loss": loss, "label_smoothing": None},
            "signals": lambda r: signals if r > 10 else {},
        }

    found = verdicts(writer, [rejected(*case[:3]) for case in cases])
    assert found["verdict"].tolist() == [case[3] for case in cases]
    assert found["rule"].tolist()[:2] == ["g_rejected"] * 2
    assert found["onset_step"].tolist()[:2] == [1100] * 2


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
