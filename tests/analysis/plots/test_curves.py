import pandas as pd

from analysis.plots.curves import plot_bands, plot_curves
from analysis.plots.theme import is_empty


def test_bands_have_medians_between_quartiles_in_the_colours_of_verdicts(bands, rows_of):
    one = bands[bands["variant"] == "hinge"]
    chart = plot_bands(one, "frechet_distance", real=1.6)
    drawn = [row for row in rows_of(chart) if "median" in row]
    assert {row["verdict"] for row in drawn} == {"healthy", "mode collapse"}
    assert all(row["low"] <= row["median"] <= row["high"] for row in drawn)
    assert {"anchor": 1.6} in rows_of(chart)


def test_what_real_data_score_is_left_out_where_it_is_not_known(bands, rows_of):
    one = bands[bands["variant"] == "hinge"]
    chart = plot_bands(one, "frechet_distance", real=float("nan"))
    assert not any("anchor" in row for row in rows_of(chart))


def test_losses_that_differ_in_scale_are_drawn_side_by_side(bands):
    made = plot_bands(bands, "d_loss_mean").to_dict()
    assert made["facet"]["field"] == "variant"
    assert made["resolve"]["scale"]["y"] == "independent"


def test_a_metric_that_was_never_measured_says_so(bands):
    assert is_empty(plot_bands(bands, "hq_share"))


def test_a_fault_is_tinted_from_its_onset_to_the_member_s_end(rows_of):
    curves = pd.DataFrame(
        {"seed": [4, 4, 5, 5], "step": [0, 100, 0, 200], "d_loss_mean": [1.0] * 4}
    )
    verdicts = pd.DataFrame(
        {"seed": [4, 5], "verdict": ["mode_collapse", "healthy"], "onset_step": [60.0, None]}
    )
    rows = rows_of(plot_curves(curves, "d_loss_mean", verdicts))
    (onset,) = [row for row in rows if "onset_step" in row]
    assert (onset["seed"], onset["onset_step"], onset["end"]) == (4, 60, 100)
    assert sum("value" in row for row in rows) == 4
