import numpy as np
import pandas as pd

from analysis.plots.running import plot_running
from analysis.plots.theme import is_empty


def curves(values):
    return pd.DataFrame(
        {"trial": [3, 3, 4, 4], "seed": [6, 6, 8, 8], "step": [0, 20, 0, 20], "d": values}
    ).rename(columns={"d": "frechet_distance"})


def test_every_member_has_a_line_and_every_trial_its_number_at_its_end(rows_of):
    rows = rows_of(plot_running(curves([9.0, 5.0, 8.0, 2.0]), "frechet_distance"))
    assert {(row["trial"], row["seed"]) for row in rows} == {(3, 6), (4, 8)}
    assert rows.count({"trial": 4, "seed": 8, "step": 20, "value": 2.0}) == 2


def test_what_is_not_finite_is_a_gap_and_the_number_stands_before_it(rows_of):
    rows = rows_of(plot_running(curves([9.0, np.nan, 8.0, 2.0]), "frechet_distance"))
    assert {"trial": 3, "seed": 6, "step": 20, "value": None} in rows
    assert rows.count({"trial": 3, "seed": 6, "step": 0, "value": 9.0}) == 2


def test_real_data_have_a_line_where_their_score_is_known(rows_of):
    frame = curves([9.0, 5.0, 8.0, 2.0])
    assert {"anchor": 1.6} in rows_of(plot_running(frame, "frechet_distance", real=1.6))
    assert "anchor" not in str(rows_of(plot_running(frame, "frechet_distance")))


def test_what_was_never_measured_says_so():
    assert is_empty(plot_running(curves([np.nan] * 4), "frechet_distance"))
