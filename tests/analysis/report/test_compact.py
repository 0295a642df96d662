import json

import numpy as np
import pandas as pd

from analysis.plots.scales import short_number
from analysis.plots.theme import chart
from analysis.report.compact import bundle, columns, to_json


def test_equal_data_are_kept_once_and_can_be_put_together_again():
    frame = pd.DataFrame({"x": [1.0, np.nan], "y": ["a", "b"]})
    dots = chart(frame).mark_point().encode(x="x:Q")
    line = chart(frame).mark_line().encode(x="x:Q", y="y:N")
    held = bundle([("dots", dots), ("line", line)])
    ((name, data),) = held.datasets.items()
    assert data == {"x": [1.0, None], "y": ["a", "b"]}
    assert {spec["data"]["name"] for spec in held.specs.values()} == {name}
    assert not any("datasets" in spec or "config" in spec for spec in held.specs.values())


def test_columns_have_enough_digits_to_round_as_the_sentences_do():
    value = 27.3471  # of four digits, 27.35, a page would make 27.4
    (sent,) = columns(pd.DataFrame({"x": [value]}))["x"]
    assert short_number(sent) == short_number(value) == "27.3"


def test_columns_have_few_digits_and_null_for_what_is_not_finite():
    frame = pd.DataFrame({"x": [1.23456789, np.nan, np.inf], "n": [10**7 + 1, 2, 3]})
    assert columns(frame) == {"x": [1.23457, None, None], "n": [10**7 + 1, 2, 3]}


def test_no_text_ends_the_script_that_it_stands_in():
    value = {"a": "</script><!-- \u2028 é"}
    text = to_json(value)
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == value
