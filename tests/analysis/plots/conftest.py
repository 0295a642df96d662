"""Tables as the analysis makes them, small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


def data(chart):
    """All rows of a chart, whichever of its layers they are of."""
    return [row for rows in chart.to_dict(validate=True)["datasets"].values() for row in rows]


@pytest.fixture
def rows_of():
    return data


@pytest.fixture
def bands():
    """A metric of two verdicts in two losses, and one that is not positive."""
    rows = [
        (metric, loss, verdict, step, 4, value, value - 0.5, value + 0.5)
        for metric, value in (("frechet_distance", 20.0), ("d_loss_mean", 0.0))
        for loss in ("hinge", "wgan")
        for verdict in ("healthy", "mode_collapse")
        for step in (100, 200)
    ]
    names = ["metric", "variant", "verdict", "step", "members", "median", "low", "high"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture
def by_variant():
    """The second one has no judged member."""
    return pd.DataFrame(
        {
            "variant": ["wgan", "hinge", "lsgan"],
            "trials": [4, 4, 4],
            "members": [8, 8, 8],
            "judged": [8, 0, 6],
            "failures": [2, 0, 6],
            "failure_rate": [0.25, np.nan, 1.0],
            "failure_low": [0.07, 0.0, 0.61],
            "failure_high": [0.59, 1.0, 1.0],
            "iqm": [10.0, 30.0, 90.0],
            "iqm_low": [8.0, 25.0, 80.0],
            "iqm_high": [12.0, 33.0, 99.0],
            "best": [7.0, 21.0, np.nan],
        }
    )


@pytest.fixture
def by_trial():
    """Trial 2 has no value; the loss of trial 1 has no smoothing."""
    return pd.DataFrame(
        {
            "trial": [0, 1, 2, 3],
            "loss": ["minimax", "wgan", "minimax", "minimax"],
            "lr_g": [1e-4, 1e-3, 1e-2, 1e-5],
            "beta1": [0.5, 0.5, 0.5, 0.5],
            "label_smoothing": [0.1, np.nan, 0.2, 0.3],
            "seeds": [2, 2, 2, 2],
            "judged": [2, 2, 0, 2],
            "failures": [0, 1, 0, 2],
            "iqm": [10.0, 30.0, np.nan, 90.0],
            "iqm_low": [8.0, 25.0, np.nan, 80.0],
            "iqm_high": [12.0, 33.0, np.nan, 99.0],
        }
    )
