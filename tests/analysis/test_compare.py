import math

import pandas as pd
import pytest

from analysis.compare import FAILURES, failure_rate, leaderboard, wilson_interval
from analysis.rules import Verdict
from analysis.schema import HYPERPARAMETERS


@pytest.mark.parametrize(
    ("failures", "n", "interval"),
    [
        # By hand: z^2 / (n + z^2) for none; 1/2 -+ z / (2 sqrt(n + z^2)) for half.
        (0, 10, (0, 0.277533)),
        (10, 10, (0.722467, 1)),
        (5, 10, (0.236593, 0.763407)),
        # Newcombe 1998, Stat. Med. 17:857-872, table I, method 3, to 4 digits.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (1, 29, (0.0061, 0.1718)),
        (0, 0, (0, 1)),
    ],
)
def test_wilson_intervals_have_their_known_ends(failures, n, interval):
    assert wilson_interval(failures, n) == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize("n", [1, 3, 20, 1000])
def test_wilson_ends_solve_the_test_they_invert(n):
    z = 1.959964
    for failures in {0, 1, n // 2, n}:
        for end in wilson_interval(failures, n):
            # |p - end| = z sqrt(end (1 - end) / n)
            expected = z * math.sqrt(end * (1 - end) / n)
            assert abs(failures / n - end) == pytest.approx(expected, abs=1e-6)


def test_wilson_is_symmetric_and_wider_for_more_confidence():
    low, high = wilson_interval(2, 9)
    assert wilson_interval(7, 9) == pytest.approx((1 - high, 1 - low))
    wide = wilson_interval(2, 9, 0.99)
    assert wide[0] < low < high < wide[1]


@pytest.mark.parametrize(("failures", "n"), [(-1, 4), (5, 4)])
def test_impossible_counts_are_refused(failures, n):
    with pytest.raises(ValueError, match=rf"failures = {failures}: must be in \[0, n\], n = 4"):
        wilson_interval(failures, n)


def verdicts(**counts):
    names = [name for name, count in counts.items() for _ in range(count)]
    return pd.DataFrame({"verdict": pd.Series(names, dtype="str")})


def test_failures_are_counted_among_those_that_were_judged():
    row = failure_rate(
        verdicts(healthy=3, diverged=1, partial_collapse=1, undertrained=4, undetermined=2)
    )
    expected = {"members": 11, "judged": 5, "failures": 2, "rate": 0.4}
    assert row[list(expected)].iloc[0].to_dict() == expected
    assert row[["undertrained", "undetermined"]].iloc[0].tolist() == [4, 2]
    assert (row["low"].item(), row["high"].item()) == wilson_interval(2, 5)


def test_every_verdict_of_a_fault_is_a_failure():
    no_fault = {Verdict.HEALTHY, Verdict.UNDERTRAINED, Verdict.UNDETERMINED}
    assert set(Verdict) - no_fault == FAILURES


def test_without_members_nothing_is_known_of_the_rate():
    row = failure_rate(verdicts()).iloc[0]
    assert math.isnan(row["rate"])
    assert row[["low", "high"]].tolist() == [0, 1]


def scored(writer, trial, objective, **truth):
    row = {"trial_objective": objective} | truth.pop("row", {})
    return writer.member(trial, row=row, **truth)


def test_the_best_trials_come_first_with_their_seeds_verdicts(writer):
    writer.members(
        scored(writer, 0, 7.0),
        scored(writer, 1, 3.0, seed=11, shares=lambda r: writer.even(3)),
        scored(writer, 1, 3.0, seed=4),
        scored(writer, 2, 5.0, hyperparameters={"lr_g": 0.25, "loss": "hinge"}),
    )
    writer.control()
    board = leaderboard(writer.load(), 2)
    assert board["rank"].tolist() == [1, 2]
    assert board["trial"].tolist() == [1, 2]
    assert board["verdicts"].tolist() == ["4: healthy, 11: mode_collapse", "0: healthy"]
    assert board["seeds"].tolist() == [2, 1]
    assert board.loc[1, ["lr_g", "loss"]].tolist() == [0.25, "hinge"]
    assert set(HYPERPARAMETERS) <= set(board)


def test_pruned_failed_and_unscored_trials_are_not_ranked(writer):
    writer.members(
        scored(writer, 0, 1.0, status="pruned"),
        scored(writer, 1, 2.0, status="failed"),
        scored(writer, 2, math.nan),
        scored(writer, 3, 9.0),
        scored(writer, 4, 0.5, status="diverged", row={"diverged_step": 9}),
    )
    assert leaderboard(writer.load())["trial"].tolist() == [3]


@pytest.mark.parametrize(("allowed", "best"), [(0.0, [1]), (0.5, [0, 1])])
def test_trials_with_more_diverged_seeds_than_allowed_are_not_ranked(writer, allowed, best):
    writer.config(f"[search]\nallowed_diverged_share = {allowed}\n")
    writer.members(
        scored(writer, 0, 1.0),
        scored(writer, 0, 1.0, seed=1, status="diverged", row={"diverged_step": 5}),
        scored(writer, 1, 2.0),
    )
    board = leaderboard(writer.load())
    assert board["trial"].tolist() == best
    assert board["diverged"].tolist() == ([1, 0] if allowed else [0])


@pytest.mark.parametrize(
    ("objective", "first"),
    [("frechet_distance", 0), ("mode_kl", 0), ("mode_entropy", 1), ("modes_1pct", 1)],
)
def test_the_objective_says_which_values_are_better(writer, objective, first):
    writer.config(f'[search]\nobjective = "{objective}"\n')
    writer.members(scored(writer, 0, 2.0), scored(writer, 1, 8.0))
    assert leaderboard(writer.load())["trial"].iloc[0] == first


def test_equal_trials_stand_in_order_of_number(writer):
    writer.members(*(scored(writer, trial, 2.0) for trial in (3, 1, 2)))
    assert leaderboard(writer.load())["trial"].tolist() == [1, 2, 3]


def test_no_trials_make_an_empty_board(writer):
    board = leaderboard(writer.load())
    assert board.empty
    assert list(board) == [
        *("rank", "trial", "trial_objective"),
        *HYPERPARAMETERS,
        *("seeds", "diverged", "verdicts"),
    ]
