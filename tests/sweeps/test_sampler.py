import warnings

import pytest
from optuna.samplers import RandomSampler, TPESampler

from sweeps.sampler import make_sampler
from sweeps.settings import Sampler


def test_every_name_has_its_sampler_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(make_sampler(Sampler.TPE, 0, 0), TPESampler)
        assert isinstance(make_sampler(Sampler.RANDOM, 0, 0), RandomSampler)


@pytest.mark.parametrize("name", Sampler)
@pytest.mark.parametrize("seed", [0, -1, 2**40])
def test_any_whole_number_is_a_seed(name, seed):
    make_sampler(name, seed, 10**6)
