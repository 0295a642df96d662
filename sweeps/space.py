"""The search space: what Optuna is asked for, conditional on the loss that it chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gan_core.config import GanConfig, LossVariant, applies
from sweeps.config import SweepConfig
from sweeps.domain import Choices, Domain, Range, Value, recipe_penalty

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["Space"]


class Space:
    """Draws trials. A hyperparameter that a trial's loss does not have is never asked for.

    So a hinge trial has no `label_smoothing`, and TPE with `group=True` models the smoothing on
    the trials alone that have one, instead of on values that changed nothing.

    Args:
        config: of the sweep, whose `space` has been checked.
    """

    def __init__(self, config: SweepConfig) -> None:
        self._domains: Mapping[str, Domain] = config.space

    def suggest(self, trial: Trial) -> dict[str, Value]:
        """The trial's hyperparameters, as `GanConfig(**hyperparameters, seed=...)` takes them.

        What the space does not name is left out and takes `GanConfig`'s default.

        Args:
            trial: an Optuna trial; its parameters get the hyperparameters' names.
        """
        loss, penalty = GanConfig().loss, None
        values: dict[str, Value] = {}
        # The recipe first: it decides which of the others there are.
        for name in sorted(self._domains, key=lambda n: (n != "loss", n != "penalty")):
            if not applies(name, loss, penalty):
                continue
            values[name] = _draw(trial, name, self._domains[name])
            if name == "loss":
                loss = LossVariant(str(values[name]))
            elif name == "penalty":
                penalty = recipe_penalty(values[name])
        return values

    @property
    def latent_dims(self) -> tuple[int, int]:
        """The shortest z that may be drawn, and the longest, to which all are padded."""
        match self._domains.get("latent_dim", GanConfig().latent_dim):
            case Range(low=low, high=high):
                return int(low), int(high)
            case Choices(choices=choices):
                lengths = [int(choice) for choice in choices]
                return min(lengths), max(lengths)
            case fixed:
                return int(fixed), int(fixed)


def _draw(trial: Trial, name: str, domain: Domain) -> Value:
    match domain:
        case Choices(choices=choices):
            drawn = trial.suggest_categorical(name, choices)
            assert drawn is not None  # for the type checker: it knows None as a choice
            return drawn
        case Range(low=int(low), high=int(high), log=log, step=step):
            return trial.suggest_int(name, low, high, step=step or 1, log=log)
        case Range(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case fixed:
            return fixed
