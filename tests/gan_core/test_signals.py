import math

import numpy as np
import pytest
import torch

from analysis import schema
from gan_core import signals
from gan_core.signals import GRADIENT_SIGNALS, SIGNALS, STATISTICS, SignalStatistics

MEMBERS, STEPS = 6, 40
# The step at which each member turns non-finite: never, at the first, in between, at the last.
DEATHS = [None, 0, 1, 17, STEPS - 1, None]
GRADIENTS = [SIGNALS.index(name) for name in GRADIENT_SIGNALS]


def observed(seed=0):
    """[steps, members, signals]; NaN where a member has no such signal, rubbish once it is dead."""
    draw = np.random.default_rng(seed)
    values = draw.normal(0.5, 2, (STEPS, MEMBERS, len(SIGNALS)))
    values[..., GRADIENTS] = np.exp(draw.normal(np.log(100), 2, (STEPS, MEMBERS, 2)))
    values[:, ::2, SIGNALS.index("penalty")] = np.nan
    for member, death in enumerate(DEATHS):
        if death is not None:
            values[death:, member] = draw.choice([np.nan, np.inf, -np.inf, 1e300])
    return values


def read(values, dtype=torch.float64):
    statistics = SignalStatistics(values.shape[1], torch.device("cpu"))
    for step, row in enumerate(values):
        sound = torch.tensor([death is None or step < death for death in DEATHS])
        statistics.add(
            torch.tensor(row, dtype=dtype),
            sound=sound,
            nonfinite=torch.tensor([death == step for death in DEATHS]),
        )
    return statistics.read()


def same(a, b, tolerance=1e-12):
    return (math.isnan(a) and math.isnan(b)) or a == pytest.approx(b, rel=tolerance, abs=tolerance)


def test_the_statistics_are_numpys_over_the_steps_that_were_made():
    values = observed()
    for member, row in enumerate(read(values)):
        death = DEATHS[member]
        made = values[: STEPS if death is None else death, member]
        assert row["interval_steps"] == len(made)
        assert row["nonfinite_steps"] == (death is not None)
        if not len(made):
            continue
        for i, signal in enumerate(SIGNALS):
            assert same(row[f"{signal}_mean"], made[:, i].mean())
            assert same(row[f"{signal}_min"], made[:, i].min())
            assert same(row[f"{signal}_max"], made[:, i].max())
            # From sums of squares, so relative to the values and not to their spread.
            scale = np.abs(made[:, i]).max()
            assert same(row[f"{signal}_std"] / scale, made[:, i].std() / scale, 1e-7)
        for signal in GRADIENT_SIGNALS:
            share = (made[:, SIGNALS.index(signal)] > 100).mean()
            assert 0 < share < 1 or len(made) < 10
            assert same(row[f"{signal}_above_100_share"], share)


def test_a_member_without_a_step_has_no_statistics():
    row = read(observed())[DEATHS.index(0)]
    assert row["interval_steps"] == 0
    assert row["nonfinite_steps"] == 1
    counts = ("interval_steps", "nonfinite_steps")
    assert all(math.isnan(value) for name, value in row.items() if name not in counts)


def test_a_signal_that_the_member_does_not_have_is_nan_and_the_rest_is_not():
    row = read(observed())[0]
    for name, value in row.items():
        assert math.isnan(value) == name.startswith("penalty_")


def test_constant_signals_do_not_vary():
    values = np.full((STEPS, MEMBERS, len(SIGNALS)), 0.1)
    row = read(values)[0]
    # Sums of squares cancel to some 1e-16 of the square, whose root this is.
    assert row["d_loss_std"] == pytest.approx(0, abs=1e-8)
    assert row["d_loss_min"] == row["d_loss_max"] == 0.1
    assert row["grad_norm_d_above_100_share"] == 0


def test_exactly_100_is_not_above_it():
    values = np.full((STEPS, MEMBERS, len(SIGNALS)), 100.0)
    values[::4, :, GRADIENTS[0]] = np.nextafter(100, 101)
    row = read(values)[0]
    assert row["grad_norm_d_above_100_share"] == 0.25
    assert row["grad_norm_g_above_100_share"] == 0


def test_float32_signals_are_added_up_in_float64():
    values = np.full((STEPS, MEMBERS, len(SIGNALS)), 0.1)
    assert read(values, torch.float32)[0]["d_loss_mean"] == pytest.approx(
        float(np.float32(0.1)), rel=1e-15
    )


def test_members_do_not_see_each_other():
    values = observed()
    changed = values.copy()
    changed[:, 3] = np.nan
    before, after = read(values), read(changed)
    for member in (0, 2, 5):
        assert repr(before[member]) == repr(after[member])


def test_the_names_are_those_of_the_parquet_contract():
    assert signals.SIGNALS == schema.SIGNALS
    assert signals.STATISTICS == schema.STATISTICS == STATISTICS
    assert signals.GRADIENT_SIGNALS == schema.GRADIENT_SIGNALS


def test_what_is_read_is_exactly_the_statistics_columns_of_a_history_row():
    columns = [
        name
        for name in schema.HISTORY.names
        if name in ("interval_steps", "nonfinite_steps") or name.startswith(SIGNALS)
    ]
    assert sorted(read(observed())[0]) == sorted(columns)
    assert len(columns) == 2 + 4 * len(SIGNALS) + len(GRADIENT_SIGNALS)
