"""A sweep that trains the winners of another again, on seeds that it never used.

The best of many trials are the best by luck too, so what they scored says too much. A sweep that
confirms searches nothing: its baselines are those configurations, with every hyperparameter as it
was, whatever the defaults are by now. What came of it: `analysis.confirm`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from gan_core.config import NO_PENALTY, GanConfig, applies
from sweeps.config import SweepConfig
from sweeps.members import gan_config
from sweeps.settings import SEEDS_APART, Pruner, Sampler

__all__ = ["changes", "fresh_seed", "planned_seeds", "winners"]

_SEEDS_OF_A_SWEEP = 2**32  # what search.seed may be is less


def winners(trials: pd.DataFrame, ranking: Iterable[int], top: int) -> dict[int, GanConfig]:
    """The first configurations of a ranking, each once, by the number of their trial.

    Args:
        trials: `analysis.load(directory).trials`.
        ranking: numbers of trials, best first.
        top: how many.

    Returns:
        At most so many; the seeds in them mean nothing.
    """
    found: dict[int, GanConfig] = {}
    for number in ranking:
        row = trials[trials["trial"] == number].iloc[0]
        gan = dataclasses.replace(gan_config(row), seed=0)
        if len(found) < top and gan not in found.values():
            found[number] = gan
    return found


def planned_seeds(config: SweepConfig) -> range:
    """The seeds of all members that a sweep trains."""
    settings = config.settings()
    return range(settings.seeds_of(0)[0], settings.seeds_of(settings.trials - 1)[-1] + 1)


def fresh_seed(used: Iterable[int]) -> int:
    """A `search.seed` under which no member's seed is one of these.

    Those of a sweep follow each other from `search.seed` times `SEEDS_APART`, so one that is
    above every used seed's quotient will do.

    Args:
        used: seeds of members.
    """
    taken = {seed // SEEDS_APART for seed in used}
    after = max(taken, default=-1) + 1
    return after if after < _SEEDS_OF_A_SWEEP else min({*range(len(taken) + 1)} - taken)


def changes(
    config: SweepConfig, sweep: str, gans: Mapping[int, GanConfig], *, seeds: int, seed: int
) -> dict[str, Any]:
    """What becomes of a sweep's config when its winners are trained again, by dotted key.

    Args:
        config: of the sweep.
        sweep: its name.
        gans: from `winners`, at least one.
        seeds: members of each.
        seed: from `fresh_seed`.
    """
    slots = config.resources.slots
    return {
        "train.seeds": seeds,
        "search.trials": len(gans),
        "search.seed": seed,
        # There is nothing to propose and nothing to wait for, and all are trained to their end.
        "search.sampler": Sampler.RANDOM.value,
        "search.pruner": Pruner.NONE.value,
        "search.max_in_flight": "auto",
        "search.baseline": [_point(config, gan) for gan in gans.values()],
        "search.confirms": {"sweep": sweep, "trials": list(gans)},
        "resources.slots": slots if slots == "auto" else max(slots, seeds),
        **_pinned(config, gans.values()),
    }


def _point(config: SweepConfig, gan: GanConfig) -> dict[str, Any]:
    return {name: value for name, value in _given(gan).items() if name in config.searched}


def _pinned(config: SweepConfig, gans: Iterable[GanConfig]) -> dict[str, Any]:
    """What the space leaves to defaults, which another version may have others of."""
    given = {name: value for gan in gans for name, value in _given(gan).items()}
    return {f"space.{n}": value for n, value in given.items() if n not in config.space}


def _given(gan: GanConfig) -> dict[str, Any]:
    """The hyperparameters that its recipe has, as a space names them."""
    values = gan.to_dict()
    del values["seed"]
    if values["penalty"] is None:
        values["penalty"] = NO_PENALTY
    return {
        name: value
        for name, value in values.items()
        if value is not None and applies(name, gan.loss, gan.penalty)
    }
