import json

import numpy as np
import pandas as pd
import pytest

from analysis.plots.palette import INK, VERDICTS
from analysis.plots.theme import (
    chart,
    color,
    config,
    empty,
    is_empty,
    panel_title,
    records,
    verdict_names,
    verdict_scale,
)
from analysis.rules import Verdict


def test_records_are_json_whatever_a_frame_holds():
    frame = pd.DataFrame(
        {
            "float": [1.23456789, np.nan, np.inf],
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "text": ["a", None, "c"],
            "kind": pd.Categorical(["x", "y", "x"]),
        }
    )
    rows = records(frame)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows[0] == {"float": 1.2346, "whole": 1, "flag": True, "text": "a", "kind": "x"}
    assert rows[1] == {"float": None, "whole": None, "flag": None, "text": None, "kind": "y"}
    assert rows[2]["float"] is None


def test_great_whole_numbers_keep_all_their_digits():
    assert records(pd.DataFrame({"x": [123_456_789]})) == [{"x": 123_456_789}]


def test_a_chart_takes_more_rows_than_altair_lets_a_frame_have():
    many = pd.DataFrame({"x": range(6_000)})
    made = chart(many, ["x"]).mark_point().encode(x="x:Q").to_dict()
    assert len(next(iter(made["datasets"].values()))) == 6_000


def test_verdicts_keep_their_colours_whichever_of_them_are_shown():
    few = verdict_scale(["oscillating", "healthy"])
    assert few.domain == ["healthy", "oscillating"]
    assert few.range == [VERDICTS[Verdict.HEALTHY].light, VERDICTS[Verdict.OSCILLATING].light]
    assert verdict_names(pd.Series(["d_saturated", "new"])).tolist() == ["D saturated", "new"]


def test_the_two_themes_differ_in_colours_and_in_nothing_else():
    light, dark = config(), config(dark=True)
    assert light["axis"]["gridColor"] == INK["grid"].light == color("grid")
    assert dark["axis"]["gridColor"] == INK["grid"].dark
    for shade in INK.values():
        dark = json.loads(json.dumps(dark).replace(shade.dark, shade.light))
    assert dark == light


def test_an_empty_chart_says_why_and_can_be_told():
    nothing = empty("No trial has ended yet")
    assert is_empty(nothing)
    assert "No trial has ended yet" in json.dumps(nothing.to_dict())
    assert not is_empty(chart(pd.DataFrame({"x": [1]})).mark_point())


def test_panels_have_their_title_above():
    assert panel_title("X").text == "X"


@pytest.mark.parametrize("name", INK)
def test_every_ink_is_a_colour(name):
    assert len(color(name)) == 7
