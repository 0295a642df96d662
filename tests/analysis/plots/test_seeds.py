from analysis.plots.seeds import plot_by_trial
from analysis.plots.theme import is_empty


def test_trials_stand_from_the_best_and_those_without_a_value_nowhere(by_trial, rows_of):
    for objective, order in (("frechet_distance", [0, 1, 3]), ("mode_entropy", [3, 1, 0])):
        chart = plot_by_trial(by_trial, objective=objective)
        assert [row["trial"] for row in rows_of(chart)] == order
        assert chart.to_dict()["layer"][0]["encoding"]["x"]["sort"] == [str(t) for t in order]


def test_only_the_best_are_drawn_of_many(by_trial, rows_of):
    assert len(rows_of(plot_by_trial(by_trial, 2))) == 2
    assert is_empty(plot_by_trial(by_trial[by_trial["iqm"].isna()]))


def test_a_trial_of_which_a_seed_failed_is_marked(by_trial, rows_of):
    failed = {row["trial"]: row["failed"] for row in rows_of(plot_by_trial(by_trial))}
    assert failed == {0: "none", 1: "some", 3: "some"}


def test_intervals_are_drawn_where_there_are_any(by_trial, rows_of):
    # Vega complains of a field that is null in every row.
    for low, marks in ((by_trial["iqm_low"], ["rule", "point"]), (float("nan"), ["point"])):
        chart = plot_by_trial(by_trial.assign(iqm_low=low, iqm_high=by_trial["iqm_high"] + low))
        assert [layer["mark"]["type"] for layer in chart.to_dict()["layer"]] == marks
        assert len(rows_of(chart)) == 3
