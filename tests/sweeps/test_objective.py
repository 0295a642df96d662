import itertools
import math

import pytest

from analysis.schema import END_METRICS, METRICS
from gan_core.config import ConfigError
from sweeps.config_file import preset_text
from sweeps.objective import DIRECTIONS, Direction, constraint, direction, trial_value

SPREADS = ["feature_spread", "within_class_spread"]


def test_every_metric_but_the_spreads_has_a_direction():
    assert set(METRICS) - set(DIRECTIONS) == set(SPREADS)
    assert direction("frechet_distance") is Direction.MINIMIZE
    assert direction("mode_kl") is Direction.MINIMIZE
    assert direction("mode_entropy") is Direction.MAXIMIZE
    assert direction("modes_1pct") is Direction.MAXIMIZE


@pytest.mark.parametrize("preset", ["digits", "mnist"])
def test_the_presets_name_every_objective(preset):
    text = preset_text(preset)
    assert [name for name in DIRECTIONS if name not in text] == []


@pytest.mark.parametrize("spread", SPREADS)
def test_a_spread_is_refused_with_the_reason(spread):
    with pytest.raises(ConfigError, match=rf'search.objective = "{spread}": .*best near 1'):
        direction(spread)


@pytest.mark.parametrize("metric", END_METRICS)
def test_what_is_measured_at_the_end_alone_is_refused_with_the_reason(metric):
    reason = rf'search.objective = "{metric}": must be one of .*not at every rung'
    with pytest.raises(ConfigError, match=reason):
        direction(metric)


def test_an_unknown_objective_is_refused_with_the_names():
    with pytest.raises(ConfigError, match=r'search.objective = "fid": must be one of "frechet'):
        direction("fid")


def test_the_value_of_sound_seeds_is_their_mean():
    assert trial_value([1.0, 2.0, 6.0], [False] * 3, [9.0] * 3) == 3.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 3.0])
def test_a_diverged_seed_counts_as_its_own_untrained_value(bad):
    assert trial_value([1.0, bad], [False, True], [70.0, 90.0]) == (1.0 + 90.0) / 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_non_finite_value_counts_as_diverged(bad):
    assert trial_value([bad, 1.0], [False, False], [70.0, 90.0]) == (70.0 + 1.0) / 2


def test_a_lucky_seed_among_diverged_ones_does_not_beat_sound_ones():
    lucky = trial_value([0.1, math.nan, math.nan, math.nan], [False, True, True, True], [10.0] * 4)
    assert trial_value([2.0] * 4, [False] * 4, [10.0] * 4) < lucky


def test_the_value_does_not_depend_on_the_order_of_seeds():
    seeds = [(0.1, False, 1.0), (0.7, True, 0.3), (1e9, False, 5.0), (math.nan, False, 1 / 3)]
    values = {trial_value(*zip(*order, strict=True)) for order in itertools.permutations(seeds)}
    assert len(values) == 1


def test_very_great_values_stay_finite():
    assert trial_value([1.5e308] * 3, [False] * 3, [1.0] * 3) == 1.5e308


def test_only_a_non_finite_untrained_value_makes_it_non_finite():
    assert math.isnan(trial_value([1.0, 2.0], [False, True], [1.0, math.nan]))
    assert trial_value([1.0, 2.0], [True, False], [1.0, math.nan]) == 1.5


@pytest.mark.parametrize("lengths", [(0, 0, 0), (2, 1, 2), (1, 1, 2)])
def test_lengths_that_differ_and_no_seeds_are_refused(lengths):
    values, diverged, untrained = lengths
    with pytest.raises(ValueError, match="must be equal and > 0"):
        trial_value([1.0] * values, [False] * diverged, [1.0] * untrained)


@pytest.mark.parametrize("seeds", range(1, 8))
def test_a_trial_is_infeasible_exactly_above_the_allowed_share(seeds):
    for allowed in range(seeds + 1):
        for diverged in range(seeds + 1):
            infeasible = constraint(diverged, seeds, allowed / seeds) > 0
            assert infeasible == (diverged > allowed)


def test_more_diverged_seeds_violate_more():
    excess = [constraint(diverged, 4, 0.25) for diverged in range(5)]
    assert excess == sorted(excess)
    assert excess[1] == 0.0


@pytest.mark.parametrize(("diverged", "seeds"), [(-1, 2), (3, 2), (0, 0)])
def test_impossible_counts_are_refused(diverged, seeds):
    with pytest.raises(ValueError, match="seeds diverged: must be"):
        constraint(diverged, seeds, 0.0)
