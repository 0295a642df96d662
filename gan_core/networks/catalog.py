"""Builds the two players of an architecture, ours by name or the user's own by import path."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from enum import StrEnum

import torch
from torch import nn

from gan_core.config import CohortConfig, ConfigError
from gan_core.networks.mlp import MlpDiscriminator, MlpGenerator

__all__ = ["Architecture", "Players", "build"]

Players = tuple[nn.Module, nn.Module]
"""(generator, discriminator)."""


class Architecture(StrEnum):
    """The architectures that ship."""

    MLP = "mlp"


def _mlp(config: CohortConfig, latent_dim: int, sample_shape: Sequence[int]) -> Players:
    return (
        MlpGenerator(latent_dim, config.generator_widths, sample_shape),
        MlpDiscriminator(config.discriminator_widths, sample_shape),
    )


_BUILDERS: dict[Architecture, Callable[[CohortConfig, int, Sequence[int]], Players]] = {
    Architecture.MLP: _mlp,
}


def build(config: CohortConfig, latent_dim: int, sample_shape: Sequence[int], seed: int) -> Players:
    """Fresh modules with initial weights from the seed; torch's global stream is left as it was.

    Args:
        config: names the architecture.
        latent_dim: length of z.
        sample_shape: (channels, height, width).
        seed: of the initial weights.

    Returns:
        G: z [batch, latent_dim] -> [batch, *sample_shape]; D: [batch, *sample_shape] -> [batch].

    Raises:
        ConfigError: unknown architecture, or a factory that cannot be imported.
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the GPUs' streams.
        torch.default_generator.manual_seed(seed)
        if ":" in config.architecture:
            return _factory(config.architecture)(latent_dim, tuple(sample_shape))
        try:
            builder = _BUILDERS[Architecture(config.architecture)]
        except ValueError:
            known = ", ".join(repr(a.value) for a in Architecture)
            right = f'must be one of {known}, or "package.module:factory"'
            raise ConfigError("model.architecture", config.architecture, right) from None
        return builder(config, latent_dim, sample_shape)


def _factory(path: str) -> Callable[[int, tuple[int, ...]], Players]:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError("model.architecture", path, f"cannot be imported: {error}") from error
