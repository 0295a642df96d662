import math

import numpy as np
import pandas as pd
import pytest

from analysis.plots.members import plot_members
from analysis.plots.theme import is_empty


@pytest.fixture
def members():
    return pd.DataFrame(
        {
            "trial": [0, 1, 2],
            "seed": [0, 1, 2],
            "verdict": ["healthy", "diverged", "healthy"],
            "loss": "wgan",
            "lr_g": [1e-4, 1e-3, np.nan],
            "lr_d": [1e-4, 1e-3, 1e-3],
        }
    )


def test_each_member_is_a_dot_in_the_colour_of_its_verdict(members, rows_of):
    chart = plot_members(members)
    assert [row["verdict"] for row in rows_of(chart)] == ["healthy", "diverged"]
    (dots,) = chart.to_dict()["layer"]
    assert dots["encoding"]["color"]["scale"]["domain"] == ["healthy", "diverged"]
    assert dots["encoding"]["x"]["scale"]["type"] == "log"


def test_real_data_are_a_cross_where_they_are_known(members, rows_of):
    assert {"lr_g": 0.5, "lr_d": 0.25} in rows_of(plot_members(members, real=(0.5, 0.25)))
    assert len(rows_of(plot_members(members, real=(math.nan, 0.25)))) == 2


def test_members_that_do_not_differ_are_not_drawn(members):
    assert is_empty(plot_members(members.head(1)))
    assert is_empty(plot_members(members.assign(lr_g=np.nan)))
