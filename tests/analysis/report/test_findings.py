import dataclasses

import pandas as pd
import pytest

from analysis.compare import failure_rate, wilson_interval
from analysis.report.findings import ENOUGH, findings


def told(tables):
    return {finding.key: finding for finding in findings(tables)}


def text(finding):
    return f"{finding.lead} {finding.detail}"


def test_a_sentence_has_the_numbers_of_its_table(tables):
    found = told(tables)
    best = tables.best.iloc[0]
    assert f"Trial {best['trial']} is the best: Fréchet distance 5" in found["best"].lead
    assert "real data score 0.6" in found["best"].lead
    failures, judged = (int(tables.failures[name]) for name in ("failures", "judged"))
    low, high = wilson_interval(failures, judged)
    assert f"{failures} of {judged} (Wilson 95% interval {low:.0%} to {high:.0%})" in text(
        found["failures"]
    )
    assert "2 of 26" in found["diverged"].detail
    assert "the most common failure is mode collapse" in found["common_failure"].lead.lower()
    assert "0.6" in found["control"].lead


def test_every_finding_points_to_a_part_of_the_page(tables, page_file):
    html = page_file.read_text()
    for finding in findings(tables):
        assert f'id="{finding.figure}"' in html
        assert finding.lead.endswith(".")
        assert finding.detail.endswith(".")
        assert "nan" not in text(finding)


def variants(*rows):
    names = ["variant", "judged", "failures", "failure_rate", "failure_low", "failure_high"]
    return pd.DataFrame(
        [(n, j, f, f / j if j else None, *wilson_interval(f, j)) for n, j, f in rows],
        columns=names,
    )


@pytest.mark.parametrize(
    ("rows", "sure"),
    [
        ((("wgan", 40, 2), ("hinge", 40, 38)), "the intervals do not overlap"),
        ((("wgan", 6, 2), ("hinge", 6, 4)), "the intervals overlap, so this is open"),
    ],
)
def test_a_difference_is_only_called_one_where_intervals_are_apart(tables, rows, sure):
    finding = told(dataclasses.replace(tables, variants=variants(*rows)))["variants"]
    assert finding.lead == "wgan failed least often."
    assert sure in finding.detail


def test_three_of_eight_are_told_with_wilson_s_interval(tables):
    only = variants(("wgan", 8, 5), ("hinge", 0, 0))
    finding = told(dataclasses.replace(tables, variants=only))["variants"]
    assert "3 of 8 judged members were healthy (Wilson 14% to 69%)" in finding.detail


def test_too_few_members_decide_nothing(tables):
    few = variants(("wgan", ENOUGH - 1, 0), ("hinge", ENOUGH - 1, ENOUGH - 1))
    found = told(dataclasses.replace(tables, variants=few))
    assert found["variants"].lead == "Too few members were judged to say which loss trains best."
    assert "range" not in found


def test_a_range_of_few_members_is_called_a_hint_and_one_of_hardly_any_is_not_told(tables):
    def ranges(members):
        row = {"variant": "wgan", "low": 1e-4, "high": 1e-3, "decades": 1.0, "members": members}
        return {"lr_g": pd.DataFrame([row])}

    judged = variants(("wgan", 40, 2), ("hinge", 40, 38))

    def told_of(members):
        given = dataclasses.replace(tables, variants=judged, ranges=ranges(members))
        return told(given)["range"]

    assert told_of(40).lead == (
        "wgan is stable over the widest range of the learning rate of G: 1.0 decades."
    )
    assert "From 1e-4 to 0.001" in told_of(40).detail
    assert "hint" not in told_of(40).detail
    assert "hint" in told_of(2 * ENOUGH).detail  # two seeds a trial
    assert (
        told_of(2 * ENOUGH - 1).lead == "Nothing was stable over a range of the learning rate of G."
    )


def test_the_expected_best_is_told_for_16_trials_of_a_sweep_of_32(tables):
    budget = pd.DataFrame(
        {
            "variant": "all",
            "trials": range(1, 33),
            "expected_best": [64.0 / k for k in range(1, 33)],
            "low": 1.0,
            "high": 90.0,
        }
    )
    finding = told(dataclasses.replace(tables, budget=budget))["budget"]
    assert finding.lead == "After 16 trials the expected best Fréchet distance is 4."
    assert "1 to 90" in finding.detail
    assert "all 32 trials reached 2" in finding.detail


def test_the_most_important_hyperparameter_is_named_for_each_target(tables):
    shares = pd.DataFrame(
        [
            ("objective", "lr_d", 0.7, "forest"),
            ("objective", "lr_g", 0.3, "forest"),
            ("collapse", "loss", 0.9, "forest"),
        ],
        columns=["target", "hyperparameter", "importance", "method"],
    )
    trials = tables.trials.assign(lr_d=1e-3, lr_g=1e-3)
    finding = told(dataclasses.replace(tables, importances=shares, trials=trials))["importance"]
    assert finding.lead == "Learning rate of D matters most."
    assert "for the objective lr_d (70%) and for losing modes loss (90%)" in finding.detail
    assert "hint" in finding.detail  # of thirteen trials


def test_what_only_some_trials_have_is_no_headline(tables):
    columns = ["target", "hyperparameter", "importance", "method"]
    shares = [("objective", "label_smoothing", 0.7, "optuna"), ("objective", "lr_g", 0.3, "optuna")]
    some = [0.1, 0.2, *[None] * (len(tables.trials) - 2)]
    trials = tables.trials.assign(label_smoothing=some, lr_g=1e-3)
    importances = pd.DataFrame(shares, columns=columns)
    changed = dataclasses.replace(tables, importances=importances, trials=trials)
    finding = told(changed)["importance"]
    assert finding.lead == "Learning rate of G matters most."
    assert f"Only 2 of {len(trials)} trials have label_smoothing." in finding.detail
    every = dataclasses.replace(changed, trials=trials.assign(label_smoothing=0.1))
    assert told(every)["importance"].lead == "Label smoothing matters most."
    assert "Only" not in told(every)["importance"].detail


def test_of_an_empty_sweep_it_is_told_that_it_is_empty(nothing, single):
    (finding,) = findings(nothing)
    assert text(finding) == "No member has ended yet. None has begun either."
    running = dataclasses.replace(nothing, sweep=single.sweep)
    (finding,) = findings(running)
    assert finding.detail == "2 members in training."


def test_a_sweep_in_which_all_diverged_has_no_best(tables):
    verdicts = tables.verdicts.assign(verdict="diverged")
    found = told(
        dataclasses.replace(
            tables,
            verdicts=verdicts,
            failures=failure_rate(verdicts).iloc[0],
            best=tables.best[:0],
        )
    )
    assert found["best"].lead == "No trial has come to a sound end."
    assert found["failures"].lead == "Every member that could be judged failed."
    assert found["diverged"].lead == "100% of the members diverged."
    assert "budget" not in found
