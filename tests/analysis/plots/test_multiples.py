import pandas as pd
import pytest

from analysis.plots.multiples import small_multiples
from analysis.plots.scales import number_axis
from analysis.plots.theme import chart


@pytest.mark.parametrize(("descending", "names"), [(False, ["b", "a"]), (True, ["a", "b"])])
def test_panels_stand_in_order_of_where_their_lines_end(descending, names):
    rows = pd.DataFrame(
        {"variant": ["a", "a", "b", "b"], "x": [1, 2, 1, 2], "y": [1.0, 5.0, 9.0, 2.0]}
    ).assign(low=lambda r: r["y"], high=lambda r: r["y"])
    value = number_axis(rows[["y"]], "Y", is_log=False)
    made = small_multiples(chart(rows).encode(x="x:Q"), "y", value, rows, descending=descending)
    assert made.to_dict()["facet"]["sort"] == names
    assert made.to_dict()["title"]["text"] == "Y"
