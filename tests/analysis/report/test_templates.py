import json

import pytest

from analysis.plots.palette import VERDICT_NAMES
from analysis.report.templates import class_template, curve_template
from analysis.trajectories import CURVES


@pytest.mark.parametrize("column", ["frechet_distance", "d_loss_mean"])
def test_a_template_is_a_chart_that_lacks_its_data_alone(column):
    assert column in CURVES
    spec = curve_template(column)
    assert [layer["data"] for layer in spec["layer"]] == [{"values": []}] * 2
    assert "datasets" not in spec
    assert set(spec["layer"][0]["encoding"]["color"]["scale"]["domain"]) == set(
        VERDICT_NAMES.values()
    )
    assert spec["usermeta"]["log"] == (column == "frechet_distance")


def test_the_map_of_classes_lacks_its_data_alone():
    spec = class_template()
    assert spec["data"] == {"values": []}
    assert {"sort", "axis"} <= set(spec["encoding"]["y"])
    assert "axis" in spec["encoding"]["x"]
    json.dumps(spec, allow_nan=False)
