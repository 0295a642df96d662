import math

import pytest

from analysis.report.wording import among, count, interval, percent, settings, verdict_name


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        (0.001, "under 1%"),
        (0.14, "14%"),
        (0.999, "over 99%"),
        (1, "100%"),
        (math.nan, "unknown"),
    ],
)
def test_what_is_not_quite_none_or_all_is_not_said_to_be(share, text):
    assert percent(share) == text


def test_an_interval_without_an_end_is_not_told():
    assert interval(0.141, 0.688, of_shares=True) == "14% to 69%"
    assert interval(8.123, 12.5) == "8.12 to 12.5"
    assert interval(math.nan, 1) == interval(0, math.inf) == ""


def test_counts_and_lists_are_grammatical():
    assert [count(n, "trial") for n in (0, 1, 1200)] == ["0 trials", "1 trial", "1,200 trials"]
    assert [among(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_settings_leave_out_what_a_trial_does_not_have():
    row = {"loss": "wgan", "lr_g": 2e-4, "latent_dim": 16, "label_smoothing": math.nan, "x": None}
    assert settings(row, list(row)) == "wgan, lr_g 2e-4, latent_dim 16"


def test_verdicts_are_named_as_everywhere():
    assert verdict_name("d_saturated") == "D saturated"
    assert verdict_name("of a newer version") == "of a newer version"
