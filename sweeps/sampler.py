"""Who proposes hyperparameters."""

from __future__ import annotations

import random
import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from sweeps.settings import Sampler

__all__ = ["make_sampler"]


def make_sampler(name: Sampler, seed: int, begun: int) -> BaseSampler:
    """The sampler of that name.

    TPE is multivariate and takes trials that are still running for bad ones (constant liar), so
    that many proposals at once differ; `group` models the hyperparameters that only some losses
    have on those trials alone that have them.

    Args:
        name: which.
        seed: of the sweep.
        begun: number of trials in the study. A sampler does not outlive its process, so the
            stream is keyed by it as well: otherwise a resumed sweep would draw the random
            proposals of its beginning again.
    """
    # The modulus is numpy's bound on seeds.
    key = random.Random(f"{seed}/{begun}").randrange(2**32)
    match name:
        case Sampler.RANDOM:
            return RandomSampler(seed=key)
        case Sampler.TPE:
            with warnings.catch_warnings():
                # `group` is marked experimental since Optuna 2.8; a conditional space needs it.
                warnings.simplefilter("ignore", ExperimentalWarning)
                return TPESampler(seed=key, multivariate=True, group=True, constant_liar=True)
