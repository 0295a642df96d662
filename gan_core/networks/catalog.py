"""Builds the two players of an architecture, ours by name or the user's own by import path."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from gan_core.config import Activation, Architecture, CohortConfig, ConfigError, Normalisation
from gan_core.networks import dcgan, sn_resnet, stylegan
from gan_core.networks.mlp import MlpDiscriminator, MlpGenerator

__all__ = ["Players", "build"]

Players = tuple[nn.Module, nn.Module]
"""(generator, discriminator)."""


_SIDES = {
    Architecture.DCGAN: dcgan.SIDES,
    Architecture.SN_RESNET: sn_resnet.SIDES,
    Architecture.STYLEGAN: stylegan.SIDES,
}


@dataclass(frozen=True)
class _Order:
    """What is to be built."""

    config: CohortConfig
    latent_dim: int
    sample_shape: tuple[int, ...]
    d_norm: Normalisation
    classes: int
    """0 for networks that are told none."""


def build(
    config: CohortConfig,
    latent_dim: int,
    sample_shape: Sequence[int],
    seed: int,
    *,
    d_norm: Normalisation = Normalisation.NONE,
    classes: int = 0,
) -> Players:
    """Fresh modules with initial weights from the seed; torch's global stream is left as it was.

    Conditional players take labels, int64 [batch], as their second argument; a G with an attribute
    `noise_numel` > 0 takes standard normal noise [batch, noise_numel] as its last one.

    Args:
        config: names the architecture.
        latent_dim: length of z.
        sample_shape: (channels, height, width), or (d,) of points.
        seed: of the initial weights.
        d_norm: what normalises D.
        classes: of the dataset; asked for only by a conditional config.

    Returns:
        G: z [batch, latent_dim] -> [batch, *sample_shape]; D: [batch, *sample_shape] -> [batch].

    Raises:
        ConfigError: unknown architecture, one that cannot do what is asked for, or a factory that
            cannot be imported or returns something else than two modules.
    """
    if config.conditional and not classes:
        raise ConfigError("model.conditional", True, "the dataset has no classes: must be false")
    shape = tuple(sample_shape)
    order = _Order(config, latent_dim, shape, d_norm, classes if config.conditional else 0)
    make = _imported(order) if ":" in config.architecture else _shipped(order)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the GPUs' streams.
        torch.default_generator.manual_seed(seed)
        return make()


def _shipped(order: _Order) -> Callable[[], Players]:
    name = order.config.architecture
    try:
        architecture = Architecture(name)
    except ValueError:
        known = ", ".join(repr(a.value) for a in Architecture)
        right = f'must be one of {known}, or "package.module:factory"'
        raise ConfigError("model.architecture", name, right) from None
    if architecture in _SIDES:
        _check_convolutional(architecture, order)
    else:
        _check_fully_connected(order)
    return lambda: _players(architecture, order)


def _check_fully_connected(order: _Order) -> None:
    follows = order.d_norm in (Normalisation.BATCH, Normalisation.LAYER)
    if follows and not order.config.discriminator_widths:
        right = "D has no hidden layers to normalise: must be none or spectral"
        raise ConfigError("d_norm", order.d_norm.value, right)


def _check_convolutional(architecture: Architecture, order: _Order) -> None:
    sides, shape = _SIDES[architecture], order.sample_shape
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in sides:
        known = ", ".join(str(side) for side in sides)
        right = f"makes square images of {known} pixels a side; the dataset's samples are {shape}"
        raise ConfigError("model.architecture", architecture.value, right)
    if order.config.activation is not Activation.LEAKY_RELU:
        right = f"{architecture.value} has activations of its own: leave it out"
        raise ConfigError("model.activation", order.config.activation.value, right)
    if architecture is Architecture.STYLEGAN and order.d_norm is not Normalisation.NONE:
        right = "stylegan's D goes without (it is made for R1): must be none"
        raise ConfigError("d_norm", order.d_norm.value, right)


def _players(architecture: Architecture, order: _Order) -> Players:
    config, z, shape, classes = order.config, order.latent_dim, order.sample_shape, order.classes
    norm, channels = order.d_norm, config.channels
    match architecture:
        case Architecture.MLP | Architecture.MLP_BN:
            return (
                MlpGenerator(
                    z,
                    config.generator_widths,
                    shape,
                    activation=config.activation,
                    batch_norm=architecture is Architecture.MLP_BN,
                    classes=classes,
                ),
                MlpDiscriminator(
                    config.discriminator_widths,
                    shape,
                    activation=config.activation,
                    norm=norm,
                    classes=classes,
                ),
            )
        case Architecture.DCGAN:
            return (
                dcgan.DcganGenerator(z, channels, shape, classes=classes),
                dcgan.DcganDiscriminator(channels, shape, norm=norm, classes=classes),
            )
        case Architecture.SN_RESNET:
            return (
                sn_resnet.SnResnetGenerator(z, channels, shape, classes=classes),
                sn_resnet.SnResnetDiscriminator(channels, shape, norm=norm, classes=classes),
            )
        case Architecture.STYLEGAN:
            return (
                stylegan.StyleganGenerator(z, channels, shape, classes=classes),
                stylegan.StyleganDiscriminator(channels, shape, classes=classes),
            )


def _imported(order: _Order) -> Callable[[], Players]:
    path = order.config.architecture
    if order.d_norm is not Normalisation.NONE:
        right = f"D of {path} is normalised by its own factory: must be none"
        raise ConfigError("d_norm", order.d_norm.value, right)
    if order.classes:
        right = f"{path} is called without classes: must be false"
        raise ConfigError("model.conditional", True, right)
    module, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError("model.architecture", path, f"cannot be imported: {error}") from error
    return lambda: _pair(factory(order.latent_dim, order.sample_shape), path)


def _pair(made: object, path: str) -> Players:
    """What a factory returned, if it is two modules."""
    match made:
        case (nn.Module() as generator, nn.Module() as discriminator):
            return generator, discriminator
    kinds = ", ".join(type(part).__name__ for part in made) if isinstance(made, tuple) else None
    got = f"({kinds})" if kinds is not None else type(made).__name__
    right = f"returns {got}: must return (generator, discriminator), two modules"
    raise ConfigError("model.architecture", path, right)
