import dataclasses
import math

import pandas as pd
import pytest
from rich.console import Console

from analysis.load import load
from analysis.schema import HISTORY
from sweeps.comparison import METRIC_TOLERANCE, SIGNAL_TOLERANCE, compare, show

SIGNAL_COLUMN = "d_loss_mean"


@pytest.fixture
def recorded(small_sweep):
    """The history of a whole member, as analysis reads it."""
    history = load(small_sweep).history
    return history[(history["trial"] == 0) & (history["seed"] == 0)].reset_index(drop=True)


def replayed(recorded, **changes):
    """The same rows as a replay has them: plain values, NaN where the table has null."""
    rows = [{n: plain(row[n]) for n in HISTORY.names} for _, row in recorded.iterrows()]
    for column, (rung, value) in changes.items():
        rows[rung][column] = value
    return rows


def plain(value):
    value = value.tolist() if hasattr(value, "tolist") else value
    return float("nan") if value is pd.NA else value


def said(comparison):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(comparison, console)
    console.file.close()
    return console.export_text()


def quantity(comparison, name):
    return next(q for q in comparison.quantities if q.name == name)


def scale(recorded, signal="d_loss"):
    return max(abs(recorded.loc[1, f"{signal}_{end}"]) for end in ("min", "max"))


def test_what_is_the_same_is_equal_at_every_rung(recorded):
    comparison = compare(recorded, replayed(recorded), member="trial 0")
    assert comparison.is_equal
    assert comparison.is_near
    assert comparison.rungs == 5
    assert all(q.equal == 5 for q in comparison.quantities)
    names = {q.name for q in comparison.quantities}
    assert {"d_loss", "grad_norm_g", "frechet_distance", "counts and modes"} <= names
    assert "Bitwise equal at all 5 rungs." in said(comparison)
    assert "Replay of trial 0" in said(comparison)


def test_what_a_loss_does_not_have_is_not_compared(recorded):
    assert recorded["penalty_mean"].isna().all()
    names = {q.name for q in compare(recorded, replayed(recorded)).quantities}
    assert "penalty" not in names


def test_what_an_older_record_does_not_have_is_not_compared(recorded):
    version_2 = ["spectral_norm_g", "spectral_norm_d", "within_class_spread"]
    replay = replayed(recorded, **dict.fromkeys(version_2, (1, 0.5)))
    older = recorded.copy()
    older[version_2] = math.nan
    comparison = compare(older, replay)
    assert comparison.is_equal
    assert not {q.name for q in comparison.quantities} & set(version_2)


@pytest.mark.parametrize("column", ["d_loss_std", "mode_histogram", "nonfinite_steps", "mode_kl"])
def test_one_number_at_one_rung_is_enough_to_be_unequal(recorded, column):
    other = [0.0] * 10 if column == "mode_histogram" else 0.123
    comparison = compare(recorded, replayed(recorded, **{column: (3, other)}))
    assert not comparison.is_equal
    assert comparison.is_near
    assert [q.equal for q in comparison.quantities].count(4) == 1
    text = said(comparison)
    assert "Not bitwise equal, and near: over the first rung (10 steps)" in text


@pytest.mark.parametrize(
    ("shares", "near"), [(0.9, True), (1.1, False), (float("inf"), False), (float("nan"), False)]
)
def test_a_signal_is_held_to_its_tolerance_over_the_first_rung(recorded, shares, near):
    value = recorded.loc[1, SIGNAL_COLUMN] + shares * SIGNAL_TOLERANCE * scale(recorded)
    comparison = compare(recorded, replayed(recorded, **{SIGNAL_COLUMN: (1, value)}))
    assert comparison.is_near == near
    if near:
        difference = quantity(comparison, "d_loss").difference
        assert difference == pytest.approx(shares * SIGNAL_TOLERANCE)
    else:
        assert "Not what was recorded: d_loss beyond the tolerance." in said(comparison)


@pytest.mark.parametrize(("shares", "near"), [(0.9, True), (1.1, False)])
def test_the_weights_before_the_first_step_are_held_to_their_metric(recorded, shares, near):
    value = recorded.loc[0, "frechet_distance"] * (1 + shares * METRIC_TOLERANCE)
    comparison = compare(recorded, replayed(recorded, frechet_distance=(0, value)))
    assert comparison.is_near == near


def test_later_rungs_are_held_to_nothing(recorded):
    comparison = compare(recorded, replayed(recorded, **{SIGNAL_COLUMN: (2, 1e6)}))
    assert comparison.is_near
    assert quantity(comparison, "d_loss").equal == 4


def test_a_signal_that_was_zero_and_is_not_is_beyond_any_share(recorded):
    zero = recorded.copy()
    for end in ("mean", "min", "max"):
        zero.loc[1, f"d_loss_{end}"] = 0.0
    comparison = compare(zero, replayed(zero, **{SIGNAL_COLUMN: (1, 1e-9)}))
    assert not comparison.is_near


def test_a_run_of_another_length_is_not_equal_and_says_so(recorded):
    shorter = compare(recorded, replayed(recorded)[:4])
    assert not shorter.is_equal
    assert shorter.is_near
    assert "the replay ends at step 30" in said(shorter)
    longer = compare(recorded[:2], replayed(recorded))
    assert "the record ends at step 10" in said(longer)
    only_before = compare(recorded[:1], replayed(recorded))
    assert not only_before.is_near
    assert "Not what was recorded: its length" in said(only_before)


def test_beyond_the_tolerance_of_a_long_rung_says_what_it_was_measured_over(recorded):
    comparison = compare(recorded, replayed(recorded, **{SIGNAL_COLUMN: (1, 1e6)}))
    assert "measured over" not in said(comparison)
    long = dataclasses.replace(comparison, first_step=1000)
    assert "measured over 100 steps" in said(long)
