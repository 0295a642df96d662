import numpy as np
import pandas as pd
import pytest

from analysis.plots.scales import number_axis, short_number, tick_values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (139.7, "140"),
        (12_345.0, "12,345"),
        (2e-4, "2e-4"),
        (2.14e-5, "2.1e-5"),
        (-0.5, "-0.5"),
        (3.2e6, "3.2e6"),
        (float("nan"), "nan"),
    ],
)
def test_a_number_is_written_as_a_person_would(value, text):
    assert short_number(value) == text


@pytest.mark.parametrize(
    ("low", "high"), [(1e-5, 1e-2), (1.62, 400), (16, 25), (1e-3, 1e9), (5, 5)]
)
def test_ticks_lie_inside_are_few_and_are_round(low, high):
    ticks = tick_values(low, high)
    assert len(ticks) <= 7
    assert all(low * 0.99 <= tick <= high * 1.01 for tick in ticks)
    assert ticks == sorted(ticks)
    if high / low > 1.5:
        assert len(ticks) >= 2


def axis(values, **how):
    return number_axis(pd.DataFrame({"x": values}), "X", **how)


def test_a_logarithm_is_only_taken_of_positive_numbers():
    assert axis([1.0, 10.0], is_log=True)["scale"].type == "log"
    assert axis([1.0, 10.0], is_log=True)["title"] == "X (log)"
    assert axis([0.0, 10.0], is_log=True)["title"] == "X"
    assert axis([1.0, np.nan, np.inf], is_log=True)["scale"].type == "log"


@pytest.mark.parametrize("is_log", [True, False])
@pytest.mark.parametrize("value", [0.6, 3.0])
def test_a_scale_of_one_number_has_a_width(value, is_log):
    low, high = axis([value, value], is_log=is_log)["scale"].domain
    assert low < value < high


def test_nothing_to_draw_gives_an_axis_too():
    assert axis([], is_log=True)["title"] == "X"
    assert axis([np.nan], is_log=False)["title"] == "X"
