import numpy as np
import pandas as pd
import pytest

from analysis.window import final_window, last_evaluations, median, span

USUAL = {"share": 0.2, "least_steps": 200, "least_evaluations": 3}


def rungs(count, every=100, **columns):
    """One member from rung 0 on."""
    rung = np.arange(count + 1)
    frame = pd.DataFrame({"trial": 0, "seed": 0, "rung": rung, "step": rung * every})
    frame["interval_steps"] = np.where(rung > 0, every, 0)
    return frame.assign(**columns)


@pytest.mark.parametrize(
    ("count", "every", "first"),
    [(20, 100, 17), (100, 10, 81), (20, 10, 1), (30, 10, 11), (10, 1000, 8), (6, 100, 4)],
    ids=["a share", "a share", "200 steps", "200 steps", "3 evaluations", "half"],
)
def test_the_window_is_the_last_share_or_as_much_as_is_needed(count, every, first):
    frame = rungs(count, every)
    inside = frame["rung"][final_window(frame, **USUAL)]
    assert inside.tolist() == list(range(first, count + 1))


def test_rung_0_is_in_no_window():
    frame = rungs(2)
    assert frame["rung"][final_window(frame, **USUAL)].tolist() == [1, 2]
    assert frame["rung"][last_evaluations(frame, 9)].tolist() == [1, 2]


def test_members_have_windows_of_their_own():
    short, long = rungs(10), rungs(20).assign(seed=1)
    both = pd.concat([short, long], ignore_index=True)
    inside = final_window(both, **USUAL)
    assert both["rung"][inside].tolist() == [8, 9, 10, 17, 18, 19, 20]
    spans = span(both, inside, "window")
    assert spans.loc[(0, 0)].tolist() == [700, 1000]
    assert spans.loc[(0, 1)].tolist() == [1600, 2000]


@pytest.mark.parametrize("unmeasured", [np.nan, np.inf, -np.inf])
def test_a_median_leaves_out_what_is_not_finite_until_half_is_missing(unmeasured):
    def value(*values):
        frame = rungs(4, x=[0.0, *values])
        return median(frame, frame["rung"] > 0, ["x"]).loc[(0, 0), "x"]

    assert value(1, 2, 3, unmeasured) == 2
    assert value(1, 3, unmeasured, unmeasured) == 2
    assert np.isnan(value(1, unmeasured, unmeasured, unmeasured))
