"""What one GAN may have for itself, and what a cohort of them shares. Free of torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gan_core.recipes import (
    CONDITIONAL,
    NO_PENALTY,
    VARIANTS,
    WEIGHT_OF,
    AdversarialLoss,
    LossVariant,
    LrSchedule,
    Normalisation,
    Penalty,
    applies,
)

__all__ = [
    "NAMED",
    "NO_PENALTY",
    "VARIANTS",
    "Activation",
    "AdversarialLoss",
    "Architecture",
    "CohortConfig",
    "ConfigError",
    "GanConfig",
    "LossVariant",
    "LrSchedule",
    "Noise",
    "Normalisation",
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


@dataclass(frozen=True, kw_only=True)
class GanConfig:
    """The hyperparameters of one GAN.

    `penalty` may be chosen for losses that have none of their own. `label_smoothing` and the
    penalties' weights exist only under some recipes: left at None they take their default there
    and stay None elsewhere; given where they do not exist they are refused.

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
    penalty: Penalty | None = None
    """On D beside the loss; "none" is None. That of a loss that has its own is filled in."""
    label_smoothing: float | None = None
    """One-sided (Salimans et al. 2016, arXiv:1606.03498, sec. 3.4): D's real target is 1 minus
    this; in [0, 1). Cross-entropy losses only."""
    clip_value: float | None = None
    """Bound of D's weights after each of its updates, > 0; penalty clip only."""
    gp_weight: float | None = None
    """Weight of the gradient penalty, >= 0; penalty wgan-gp only."""
    dragan_weight: float | None = None
    """Weight of the gradient penalty, >= 0; penalty dragan only."""
    r1_gamma: float | None = None
    """Weight gamma of gamma/2 |grad D|^2, >= 0; penalties r1 and r1r2 only. To be scaled with the
    data: 10 suits images of 64 pixels, 0.1 points in the plane."""
    d_norm: Normalisation = Normalisation.NONE
    """Of D's hidden layers; not batch with a penalty on gradients at single samples."""
    beta1: float = 0.5
    """Adam's decay of the first moment, in [0, 1)."""
    beta2: float = 0.999
    """Adam's decay of the second moment, in [0, 1)."""
    d_steps: int = 1
    """Updates of D for each update of G, >= 1."""
    lr_schedule: LrSchedule = LrSchedule.CONSTANT
    """Of both rates."""
    instance_noise: float = 0.0
    """Standard deviation of normal noise on all that D sees (Sonderby et al. 2017,
    arXiv:1610.04490, sec. 3.2), >= 0; images lie in [-1, 1]."""
    ema_half_life_images: float | None = None
    """Half-life, in real images seen by G's updates, of an exponential moving average of G's
    weights (Karras et al. 2018, arXiv:1710.10196, sec. 6.1), > 0; samples are then the
    average's. None: no average."""

    def __post_init__(self) -> None:
        for name, enum in NAMED.items():
            if name != "penalty":
                object.__setattr__(self, name, _member(enum, name, getattr(self, name)))
        object.__setattr__(self, "penalty", self._own_penalty())
        for name, default in CONDITIONAL.items():
            value, exists = getattr(self, name), applies(name, self.loss, self.penalty)
            if value is None and exists:
                object.__setattr__(self, name, default)
            elif value is not None and not exists:
                recipe = f"loss {self.loss.value!r}"
                if name in WEIGHT_OF:
                    recipe += f" with penalty {(self.penalty or NO_PENALTY)!s}"
                raise ConfigError(name, value, f"{recipe} has none: leave it out")
        for name in _BOUNDS:
            if getattr(self, name) is not None or name not in _OPTIONAL:
                check_value(name, getattr(self, name), integer=name in _WHOLE)
        if self.d_norm is Normalisation.BATCH and self.penalty and self.penalty.is_per_sample:
            right = (
                f"penalty {self.penalty.value!r} takes D's gradient at single samples, which "
                "batch statistics mix: must be none, layer or spectral"
            )
            raise ConfigError("d_norm", self.d_norm.value, right)

    def _own_penalty(self) -> Penalty | None:
        given = self.penalty
        if given is None or given == NO_PENALTY:
            return self.loss.penalty
        penalty = Penalty(_member(Penalty, "penalty", given))
        if self.loss.penalty not in (None, penalty):
            right = f"loss {self.loss.value!r} has its own, {self.loss.penalty.value!r}"
            raise ConfigError("penalty", penalty.value, f"{right}: leave it out")
        return penalty

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
    "dragan_weight": (0, True, math.inf),
    "r1_gamma": (0, True, math.inf),
    "instance_noise": (0, True, math.inf),
    "ema_half_life_images": (0, False, math.inf),
    "beta1": (0, True, 1),
    "beta2": (0, True, 1),
    "d_steps": (1, True, 2**10),
}
_WHOLE = ("seed", "latent_dim", "d_steps")
_OPTIONAL = (*CONDITIONAL, "ema_half_life_images")

NAMED: dict[str, type[StrEnum]] = {
    "loss": LossVariant,
    "penalty": Penalty,
    "d_norm": Normalisation,
    "lr_schedule": LrSchedule,
}
"""Hyperparameters that are names and not numbers."""


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


class Architecture(StrEnum):
    """The architectures that ship; see `gan_core.networks`."""

    MLP = "mlp"
    """Fully connected; of images or points."""
    MLP_BN = "mlp_bn"
    """The same with batch normalisation in G."""
    DCGAN = "dcgan"
    SN_RESNET = "sn_resnet"
    """SN-GAN's residual networks."""
    STYLEGAN = "stylegan"


class Activation(StrEnum):
    """Of hidden layers."""

    LEAKY_RELU = "leaky_relu"
    """Slope 0.2 below zero."""
    RELU = "relu"


class Precision(StrEnum):
    """Number format of parameters and activations."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BFLOAT16 = "bfloat16"
    """Of the factors of matrix products and of the activations between them; parameters, Adam,
    losses and what is normalised or differentiated twice stay float32. Only for the architecture
    mlp, without classes."""


@dataclass(frozen=True, kw_only=True)
class CohortConfig:
    """What all members of a cohort share.

    Raises:
        ConfigError: a value out of its bounds.
    """

    architecture: str = "mlp"
    """An `Architecture`, or "package.module:factory"."""
    generator_widths: tuple[int, ...] = (256, 512)
    """Units of G's hidden layers."""
    discriminator_widths: tuple[int, ...] = (512, 256)
    """Units of D's hidden layers."""
    batch_size: int = 64
    """Images in each batch, >= 1."""
    noise: Noise = Noise.NORMAL
    precision: Precision = Precision.FLOAT32
    activation: Activation = Activation.LEAKY_RELU
    """Of the hidden layers of fully connected networks."""
    channels: int = 64
    """Width of convolutional networks: channels of their widest image."""
    conditional: bool = False
    """Whether G and D are told the class of each image."""
    schedule_steps: int | None = None
    """G updates over which `GanConfig.lr_schedule` runs; None allows only constant rates."""
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
        object.__setattr__(self, "activation", _member(Activation, "activation", self.activation))
        for name in ("batch_size", "channels", "schedule_steps"):
            value = getattr(self, name)
            if value is None and name == "schedule_steps":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(name, value, "must be a whole number >= 1")
        check_value("latent_dim", self.latent_dim, integer=True)
        plain = self.architecture == Architecture.MLP and not self.conditional
        if self.precision is Precision.BFLOAT16 and not plain:
            right = 'is only for the architecture "mlp" without conditional = true'
            raise ConfigError("precision", self.precision.value, right)


def _member(enum: type[Any], key: str, value: object) -> Any:
    try:
        return enum(value)
    except ValueError:
        names = ", ".join(repr(m.value) for m in enum)
        raise ConfigError(key, value, f"must be one of {names}") from None


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"
