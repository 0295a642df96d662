import numpy as np
import pandas as pd

from analysis.plots.modes import plot_class_coverage, plot_mode_coverage
from analysis.plots.theme import is_empty


def coverage(members, verdicts=("healthy", "mode_collapse", "diverged")):
    return pd.DataFrame(
        [
            (m, 0, verdicts[m % len(verdicts)], step, 5.0, 0.5)
            for m in range(members)
            for step in (100, 200)
        ],
        columns=["trial", "seed", "verdict", "step", "modes", "of_real"],
    )


def test_every_member_has_a_row_and_verdicts_are_blocks(rows_of):
    rows = rows_of(plot_mode_coverage(coverage(9)))
    places = {}
    for row in rows:
        places.setdefault(row["verdict"], set()).add(row["row"])
    assert sorted(map(len, places.values())) == [3, 3, 3]
    assert all(max(p) - min(p) == 2 for p in places.values())


def test_of_too_many_members_as_many_of_each_verdict_are_drawn_as_its_share(rows_of):
    rows = rows_of(plot_mode_coverage(coverage(900), most=90))
    drawn = {(row["trial"], row["verdict"]) for row in rows}
    assert len(drawn) == 90
    for verdict in ("healthy", "mode collapse", "diverged"):
        assert 28 <= sum(v == verdict for _, v in drawn) <= 32


def test_classes_are_shown_against_real_data_or_alone():
    rows = pd.DataFrame(
        {"step": [0, 0, 10, 10], "mode": ["a", "b"] * 2, "share": [1.0, 0.0, 0.5, 0.5]}
    )
    known = plot_class_coverage(rows.assign(of_real=rows["share"] * 2)).to_dict()
    alone = plot_class_coverage(rows.assign(of_real=np.nan)).to_dict()
    assert known["encoding"]["color"]["field"] == "of_real"
    assert alone["encoding"]["color"]["field"] == "share"
    assert known["encoding"]["y"]["sort"] == ["a", "b"]


def test_without_modes_there_is_nothing_to_map():
    assert is_empty(plot_mode_coverage(coverage(0)))
    assert is_empty(plot_class_coverage(pd.DataFrame(columns=["step", "mode", "share", "of_real"])))
