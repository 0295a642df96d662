"""Rows are what the schemas say, column for column."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from analysis.schema import (
    CONTROL,
    END_METRICS,
    GRADIENT_SIGNALS,
    HISTORY,
    HYPERPARAMETERS,
    METRICS,
    SAMPLES,
    SIGNALS,
    SPECTRAL_NORMS,
    STATISTICS,
    TRIALS,
)
from gan_core.config import NAMED, GanConfig, LossVariant, Penalty
from sweeps.rows import (
    Context,
    Progress,
    control_row,
    history_row,
    origin,
    sample_row,
    trial_row,
)

RECIPES = [
    (loss, penalty)
    for loss in LossVariant
    for penalty in ([loss.penalty] if loss.penalty else [None, *Penalty])
]
METRICS_OF_A_RUNG = dict(
    zip(METRICS, (5.0, 0.4, 3.0, 4.0, 0.9, 0.7, 0.25, 6.0, 0.8, 0.5), strict=True)
)
METRICS_AT_END = {name: float(i) for i, name in enumerate(END_METRICS)}


def context():
    return Context(
        sweep="s",
        worker="w0",
        device="cpu",
        dataset="digits",
        architecture="mlp",
        eval_images=100,
        slots=8,
    )


def member(loss="nonsaturating", penalty=None, **values):
    gan = GanConfig(loss=loss, penalty=penalty, **values).to_dict()
    seed = gan.pop("seed")
    return Progress(trial=3, attempt=1, seed=seed, hyperparameters=gan, step=40, rung=2)


def stored(row, schema):
    """The row as it comes back from a table of this schema."""
    assert set(row) == set(schema.names)
    (back,) = pa.Table.from_pylist([row], schema=schema).to_pylist()
    return back


def test_a_gans_hyperparameters_are_the_columns():
    gan = GanConfig().to_dict()
    assert set(gan) - {"seed"} == set(HYPERPARAMETERS)
    for name, kind in HYPERPARAMETERS.items():
        assert (kind == pa.string()) is (name in NAMED)


@pytest.mark.parametrize(("loss", "penalty"), RECIPES)
def test_a_trials_row_holds_the_resolved_recipe_and_null_for_what_it_lacks(loss, penalty):
    progress = member(loss, penalty, seed=2**62 + 1, lr_g=1 / 3)
    row = stored(trial_row(context(), progress, "complete", objective="mode_kl"), TRIALS)
    again = GanConfig(seed=row["seed"], **{name: row[name] for name in HYPERPARAMETERS})
    assert again == GanConfig(loss=loss, penalty=penalty, seed=2**62 + 1, lr_g=1 / 3)


def test_final_metrics_are_the_last_rungs_and_best_ones_go_each_its_own_way():
    progress = member()
    progress.judged(METRICS_OF_A_RUNG, [0.5, 0.5])
    later = {name: value * 2 for name, value in METRICS_OF_A_RUNG.items()}
    progress.judged(later, [1.0, 0.0])
    row = stored(trial_row(context(), progress, "complete", objective="hq_share"), TRIALS)
    assert row["objective"] == later["hq_share"]
    for name in METRICS:
        assert row[f"final_{name}"] == later[name]
        least = name in ("frechet_distance", "mode_kl")
        assert row[f"best_{name}"] == (METRICS_OF_A_RUNG if least else later)[name]
    assert progress.untrained == METRICS_OF_A_RUNG


def test_metrics_that_a_dataset_does_not_have_are_null():
    images = {name: METRICS_OF_A_RUNG[name] for name in METRICS[:6]}
    progress = member()
    progress.judged(images, [1.0])
    row = stored(trial_row(context(), progress, "complete", objective="mode_kl"), TRIALS)
    rung = stored(history_row(context(), progress, {}, 1.0), HISTORY)
    for name in ("hq_share", "modes_hit"):
        assert row[f"final_{name}"] is row[f"best_{name}"] is rung[name] is None
    assert rung["feature_spread"] == images["feature_spread"]


def test_what_is_measured_at_the_end_is_in_the_trials_row_alone_and_null_before():
    progress = member()
    names = [f"final_{name}" for name in END_METRICS]
    before = stored(trial_row(context(), progress, "failed", objective="mode_kl"), TRIALS)
    assert all(before[name] is None for name in names)
    progress.at_end = METRICS_AT_END
    row = stored(trial_row(context(), progress, "complete", objective="mode_kl"), TRIALS)
    assert [row[name] for name in names] == list(METRICS_AT_END.values())
    assert not set(END_METRICS) & set(HISTORY.names)


def test_a_networks_spectral_norm_is_null_where_it_has_none():
    progress = member()
    progress.spectral_norms = {"spectral_norm_g": 1.5}
    row = stored(history_row(context(), progress, {}, 0.0), HISTORY)
    assert [row[name] for name in SPECTRAL_NORMS] == [1.5, None]


def test_a_number_is_better_than_nan_at_whichever_rung():
    progress = member()
    for value in (math.nan, 3.0, math.nan, 2.0, 9.0):
        progress.judged({"frechet_distance": value, "mode_entropy": value}, [])
    assert progress.best == {"frechet_distance": 2.0, "mode_entropy": 9.0}


def test_who_diverged_has_no_objective_but_its_metrics():
    progress = member()
    progress.judged(METRICS_OF_A_RUNG, [1.0])
    progress.diverged_step = 17
    row = stored(trial_row(context(), progress, "diverged", objective="mode_kl"), TRIALS)
    assert row["objective"] is None
    assert (row["diverged_step"], row["steps"], row["attempt"]) == (17, 40, 1)
    assert row["final_mode_kl"] == METRICS_OF_A_RUNG["mode_kl"]


def test_a_history_row_holds_each_statistic_under_its_name_and_null_before_the_first_step():
    names = [f"{signal}_{statistic}" for signal in SIGNALS for statistic in STATISTICS]
    names += [f"{signal}_above_100_share" for signal in GRADIENT_SIGNALS]
    statistics = {name: float(i) for i, name in enumerate(names)}
    statistics |= {"interval_steps": 10.0, "nonfinite_steps": 1.0}
    row = stored(history_row(context(), member(), statistics, 2.5), HISTORY)
    assert {name: row[name] for name in names} == {name: statistics[name] for name in names}
    assert (row["interval_steps"], row["nonfinite_steps"]) == (10, 1)
    assert (row["rung"], row["step"], row["eval_images"], row["seconds"]) == (2, 40, 100, 2.5)
    empty = stored(history_row(context(), member(), {}, 0.0), HISTORY)
    assert all(empty[name] is None for name in names)
    assert empty["interval_steps"] == 0


def test_samples_control_and_origin_say_whose_they_are():
    progress = member(seed=9)
    row = stored(sample_row(context(), progress, b"png"), SAMPLES)
    assert (row["trial"], row["seed"], row["png"]) == (3, 9, b"png")
    control = control_row(
        context(),
        "real",
        METRICS_OF_A_RUNG | METRICS_AT_END,
        [0.5, 0.5],
        extractor="hash",
        classes=("0", "1"),
    )
    back = stored(control, CONTROL)
    assert {name: back[name] for name in METRICS} == METRICS_OF_A_RUNG
    assert {name: back[name] for name in END_METRICS} == METRICS_AT_END
    assert back["classes"] == ["0", "1"]
    where = origin(context(), progress)
    assert (where["sweep"], where["trial"], where["seed"], where["step"]) == ("s", 3, 9, 40)
