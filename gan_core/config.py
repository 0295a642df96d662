"""What one GAN may have for itself, and what a cohort of them shares. Free of torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = [
    "VARIANTS",
    "AdversarialLoss",
    "CohortConfig",
    "ConfigError",
    "GanConfig",
    "LossVariant",
    "Noise",
    "Penalty",
    "Precision",
    "applies",
    "check_value",
]


class ConfigError(ValueError):
    """A value that the user gave is wrong. The message is one line: key, value, what is right."""

    def __init__(self, key: str, value: object, right: str) -> None:
        self.key, self.value, self.right = key, value, right
        # As they came, so that the error can be pickled.
        super().__init__(key, value, right)

    def __str__(self) -> str:
        """One line."""
        return f"{self.key} = {_shown(self.value)}: {self.right}"


class AdversarialLoss(StrEnum):
    """How D's logits are scored; see `gan_core.losses`."""

    MINIMAX = "minimax"
    NONSATURATING = "nonsaturating"
    LSGAN = "lsgan"
    HINGE = "hinge"
    WASSERSTEIN = "wasserstein"

    @property
    def has_labels(self) -> bool:
        """Whether D's loss is a cross-entropy, so that its real label can be smoothed."""
        return self in (AdversarialLoss.MINIMAX, AdversarialLoss.NONSATURATING)


class Penalty(StrEnum):
    """What else holds D back; see `gan_core.penalties`."""

    CLIP = "clip"
    WGAN_GP = "wgan-gp"


class LossVariant(StrEnum):
    """A named recipe: an adversarial loss and, for some, a penalty."""

    MINIMAX = "minimax"
    NONSATURATING = "nonsaturating"
    LSGAN = "lsgan"
    HINGE = "hinge"
    WGAN = "wgan"
    WGAN_GP = "wgan-gp"

    @property
    def adversarial(self) -> AdversarialLoss:
        """The loss on logits."""
        return VARIANTS[self][0]

    @property
    def penalty(self) -> Penalty | None:
        """The penalty on D, or None."""
        return VARIANTS[self][1]


VARIANTS: dict[LossVariant, tuple[AdversarialLoss, Penalty | None]] = {
    LossVariant.MINIMAX: (AdversarialLoss.MINIMAX, None),
    LossVariant.NONSATURATING: (AdversarialLoss.NONSATURATING, None),
    LossVariant.LSGAN: (AdversarialLoss.LSGAN, None),
    LossVariant.HINGE: (AdversarialLoss.HINGE, None),
    LossVariant.WGAN: (AdversarialLoss.WASSERSTEIN, Penalty.CLIP),
    LossVariant.WGAN_GP: (AdversarialLoss.WASSERSTEIN, Penalty.WGAN_GP),
}

# Hyperparameters that only some losses have, with the value they take there unless given.
# Clip 0.01: Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1. Weight 10: Gulrajani et al.
# 2017, arXiv:1704.00028, algorithm 1.
_CONDITIONAL: dict[str, float] = {"label_smoothing": 0.0, "clip_value": 0.01, "gp_weight": 10.0}


def applies(hyperparameter: str, loss: LossVariant) -> bool:
    """Whether a GAN with this loss has the hyperparameter at all."""
    match hyperparameter:
        case "label_smoothing":
            return loss.adversarial.has_labels
        case "clip_value":
            return loss.penalty is Penalty.CLIP
        case "gp_weight":
            return loss.penalty is Penalty.WGAN_GP
        case _:
            return True


@dataclass(frozen=True, kw_only=True)
class GanConfig:
    """The hyperparameters of one GAN.

    `label_smoothing`, `clip_value` and `gp_weight` exist only under some losses: left at None
    they take their default there and stay None elsewhere; given where they do not exist they
    are refused.

    Raises:
        ConfigError: a value out of its bounds.
    """

    seed: int = 0
    """Key of every random stream of this GAN: initial weights, batches, noise."""
    lr_g: float = 2e-4
    """Adam's rate for G, > 0."""
    lr_d: float = 2e-4
    """Adam's rate for D, > 0."""
    latent_dim: int = 64
    """Length of z, >= 1."""
    loss: LossVariant = LossVariant.NONSATURATING
    label_smoothing: float | None = None
    """One-sided (Salimans et al. 2016, arXiv:1606.03498, sec. 3.4): D's real target is 1 minus
    this; in [0, 1). Cross-entropy losses only."""
    clip_value: float | None = None
    """Bound of D's weights after each of its updates, > 0; wgan only."""
    gp_weight: float | None = None
    """Weight of the gradient penalty, >= 0; wgan-gp only."""
    beta1: float = 0.5
    """Adam's decay of the first moment, in [0, 1)."""
    beta2: float = 0.999
    """Adam's decay of the second moment, in [0, 1)."""
    d_steps: int = 1
    """Updates of D for each update of G, >= 1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", _member(LossVariant, "loss", self.loss))
        for name, default in _CONDITIONAL.items():
            value = getattr(self, name)
            if value is None and applies(name, self.loss):
                object.__setattr__(self, name, default)
            elif value is not None and not applies(name, self.loss):
                raise ConfigError(name, value, f"loss {self.loss.value!r} has none: leave it out")
        for name in ("seed", "latent_dim", "d_steps"):
            check_value(name, getattr(self, name), integer=True)
        for name in ("lr_g", "lr_d", "beta1", "beta2", *_CONDITIONAL):
            if applies(name, self.loss):
                check_value(name, getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name, as stored with the results."""
        return {
            name: value.value if isinstance(value, StrEnum) else value
            for name, value in dataclasses.asdict(self).items()
        }


# (lowest, whether it is itself allowed, highest not allowed)
_BOUNDS: dict[str, tuple[float, bool, float]] = {
    "seed": (0, True, 2**63),
    "lr_g": (0, False, math.inf),
    "lr_d": (0, False, math.inf),
    "latent_dim": (1, True, 2**16),
    "label_smoothing": (0, True, 1),
    "clip_value": (0, False, math.inf),
    "gp_weight": (0, True, math.inf),
    "beta1": (0, True, 1),
    "beta2": (0, True, 1),
    "d_steps": (1, True, 2**10),
}


def check_value(name: str, value: object, *, integer: bool = False, key: str | None = None) -> None:
    """Refuses a hyperparameter's value that is out of bounds, NaN or of the wrong type.

    Args:
        name: the hyperparameter, a field of `GanConfig`.
        value: what was given.
        integer: whether only whole numbers are right.
        key: how the error names the place; the hyperparameter's name by default.

    Raises:
        ConfigError: naming key, value and bound.
    """
    key = key or name
    kind = "a whole number" if integer else "a number"
    if isinstance(value, bool) or not isinstance(value, int if integer else int | float):
        raise ConfigError(key, value, f"must be {kind}")
    low, closed, high = _BOUNDS[name]
    if not ((value >= low if closed else value > low) and value < high):
        upper = "" if math.isinf(high) else f" and < {high:g}"
        raise ConfigError(key, value, f"must be {'>=' if closed else '>'} {low:g}{upper}")


class Noise(StrEnum):
    """Distribution of z."""

    NORMAL = "normal"
    """Standard normal."""
    UNIFORM = "uniform"
    """Uniform in [-1, 1)."""


class Precision(StrEnum):
    """Number format of parameters and activations."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


@dataclass(frozen=True, kw_only=True)
class CohortConfig:
    """What all members of a cohort share.

    Raises:
        ConfigError: a value out of its bounds.
    """

    architecture: str = "mlp"
    """A name from `gan_core.networks`, or "package.module:factory"."""
    generator_widths: tuple[int, ...] = (256, 512)
    """Units of G's hidden layers."""
    discriminator_widths: tuple[int, ...] = (512, 256)
    """Units of D's hidden layers."""
    batch_size: int = 64
    """Images in each batch, >= 1."""
    noise: Noise = Noise.NORMAL
    precision: Precision = Precision.FLOAT32
    latent_dim: int = 64
    """The largest `GanConfig.latent_dim` that can be admitted; shorter ones are padded to it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise", _member(Noise, "noise", self.noise))
        object.__setattr__(self, "precision", _member(Precision, "precision", self.precision))
        for name in ("generator_widths", "discriminator_widths"):
            widths = tuple(getattr(self, name))
            object.__setattr__(self, name, widths)
            if any(isinstance(w, bool) or not isinstance(w, int) or w < 1 for w in widths):
                raise ConfigError(name, list(widths), "must be a list of whole numbers >= 1")
        batch = self.batch_size
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ConfigError("batch_size", batch, "must be a whole number >= 1")
        check_value("latent_dim", self.latent_dim, integer=True)


def _member(enum: type[Any], key: str, value: object) -> Any:
    try:
        return enum(value)
    except ValueError:
        names = ", ".join(repr(m.value) for m in enum)
        raise ConfigError(key, value, f"must be one of {names}") from None


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"
