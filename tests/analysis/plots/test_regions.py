import numpy as np
import pandas as pd

from analysis.plots.regions import plot_failure_map, plot_stable_range
from analysis.plots.theme import is_empty


def test_bins_without_a_judged_member_are_left_blank(rows_of):
    cells = pd.DataFrame(
        {
            "variant": ["wgan", "wgan"],
            "low": [1e-4, 1e-3],
            "high": [1e-3, 1e-2],
            "members": [3, 2],
            "judged": [3, 0],
            "failures": [1, 0],
            "rate": [1 / 3, np.nan],
        }
    )
    (row,) = rows_of(plot_failure_map(cells))
    assert (row["low"], row["judged"]) == (1e-4, 3)
    assert is_empty(plot_failure_map(cells[cells["judged"] == 0]))


def test_ranges_are_drawn_within_all_that_was_searched():
    ranges = pd.DataFrame(
        {
            "variant": ["wgan", "lsgan", "hinge"],
            "low": [1e-4, 1e-4, np.nan],
            "high": [1e-3, 1e-4, np.nan],
            "decades": [1.0, 0.0, np.nan],
            "members": [6, 2, 0],
        }
    )
    bar = plot_stable_range(ranges, within=(1e-5, 1e-2)).to_dict()["layer"][0]
    assert bar["encoding"]["x"]["scale"]["domain"] == [1e-5, 1e-2]
    assert bar["encoding"]["y"]["sort"] == ["wgan (1.0 decades)", "lsgan (one value)"]
    assert is_empty(plot_stable_range(ranges[2:]))
