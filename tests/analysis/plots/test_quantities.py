import pytest

from analysis.plots.quantities import greater_is_better, quantity
from analysis.schema import HYPERPARAMETERS, METRICS, SIGNALS, SPECTRAL_NORMS
from analysis.trajectories import CURVES

MEAN = [f"{signal}_mean" for signal in SIGNALS]


@pytest.mark.parametrize("column", [*METRICS, *MEAN, *SPECTRAL_NORMS, *HYPERPARAMETERS, *CURVES])
def test_a_reader_is_told_of_every_column_by_a_name_of_its_own(column):
    name = quantity(column).name
    assert name != column.replace("_", " ") or column == "penalty"
    assert name[0].isupper()


def test_the_signal_and_the_hyperparameter_penalty_are_kept_apart():
    assert quantity("penalty_mean").name != quantity("penalty").name


def test_a_title_has_the_unit_and_an_unknown_column_its_own_name():
    assert quantity("mode_kl").title == "KL of modes (nats)"
    assert quantity("lr_g").title == "Learning rate of G"
    assert quantity("my_metric").title == "my metric"


def test_more_modes_are_better_and_a_greater_distance_is_not():
    assert greater_is_better("mode_entropy")
    assert not greater_is_better("frechet_distance")
