import math

import pytest
import torch

from analysis.schema import END_METRICS, METRICS, SPECTRAL_NORMS
from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig
from gan_core.data import load_dataset
from gan_core.metrics.evaluate import Evaluator
from gan_core.singular import spectral_norms
from sweeps.judging import judge_at_end, judge_rung, pictures, untrained
from sweeps.rows import Progress

SHARED = CohortConfig(latent_dim=8, generator_widths=(16,), discriminator_widths=(16,))


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def evaluator(digits):
    return Evaluator(digits, 100)


def held(digits, count=3):
    """A cohort and its (progress, member) pairs, in another order than the slots'."""
    cohort = Cohort(SHARED, digits.sample_shape, slots=count)
    members = cohort.admit([GanConfig(seed=seed, latent_dim=8) for seed in range(count)])
    seeds = [
        Progress(trial=0, attempt=0, seed=member.config.seed, hyperparameters={})
        for member in members
    ]
    return cohort, list(zip(seeds, members, strict=True))[::-1]


def test_a_rung_gives_each_seed_its_own_metrics_modes_and_norms(digits, evaluator):
    cohort, seeds = held(digits)
    judge_rung(cohort, evaluator, seeds)
    for seed, member in seeds:
        alone = evaluator(cohort.generate([member], 100))
        assert set(seed.metrics) == set(METRICS)
        for name, value in seed.metrics.items():
            assert value == pytest.approx(alone.values[name].item(), rel=1e-4, nan_ok=True)
        assert seed.histogram == pytest.approx(alone.histogram[0].tolist())
        norms = spectral_norms(cohort, [member])
        assert seed.spectral_norms == {name: norms[name][0] for name in SPECTRAL_NORMS}
        assert seed.untrained == seed.best == seed.metrics or math.isnan(seed.best["hq_share"])
        assert not seed.at_end


def test_an_end_gives_each_seed_its_own_scores_and_one_that_diverged_none(digits, evaluator):
    cohort, seeds = held(digits)
    seeds[1][0].diverged_step = 1
    judge_at_end(cohort, evaluator, seeds)
    assert seeds[1][0].at_end == {}
    for seed, member in (seeds[0], seeds[2]):
        alone = evaluator.at_end(cohort.generate([member], 100))
        assert tuple(seed.at_end) == END_METRICS
        for name, value in seed.at_end.items():
            assert value == pytest.approx(alone[name].item(), rel=1e-4, abs=1e-9)
    assert seeds[0][0].at_end != seeds[2][0].at_end


def test_a_seed_whose_samples_broke_has_nan_and_the_other_is_bitwise_unchanged(digits, evaluator):
    cohort, seeds = held(digits, count=2)
    judge_at_end(cohort, evaluator, seeds)
    before = [seed.at_end for seed, _ in seeds]
    cohort.G.parameters[cohort.slot(seeds[0][1])] = torch.nan
    judge_at_end(cohort, evaluator, seeds)
    assert all(math.isnan(value) for value in seeds[0][0].at_end.values())
    assert seeds[1][0].at_end == before[1]


def test_of_no_one_nothing_is_measured(digits, evaluator):
    cohort, _ = held(digits, count=1)
    judge_rung(cohort, evaluator, [])
    judge_at_end(cohort, evaluator, [])


def test_the_untrained_control_has_all_that_the_real_one_has(digits, evaluator):
    cohort, _ = held(digits, count=1)
    scores = untrained(cohort, evaluator)
    assert tuple(scores.values) == tuple(evaluator.real.values) == (*METRICS, *END_METRICS)
    assert scores.histogram.shape == evaluator.real.histogram.shape
    assert scores.values["coverage_k5"].item() < 0.5 < evaluator.real.values["coverage_k5"].item()


@pytest.mark.parametrize("name", ["digits", "ring8"])
def test_a_picture_is_a_png_for_each_member(name):
    dataset = load_dataset(name)
    cohort = Cohort(SHARED, dataset.sample_shape, slots=2)
    members = cohort.admit([GanConfig(seed=seed, latent_dim=8) for seed in range(2)])
    first, second = pictures(cohort, members, dataset)
    assert first.startswith(b"\x89PNG")
    assert first != second
