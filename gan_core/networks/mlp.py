"""The tutorials' fully connected GAN: LeakyReLU 0.2, tanh at the end of G, logits from D."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

__all__ = ["MlpDiscriminator", "MlpGenerator"]

_SLOPE = 0.2  # Radford et al. 2016, arXiv:1511.06434, sec. 3


def _hidden(widths: Sequence[int]) -> list[nn.Module]:
    return [
        layer
        for inputs, outputs in pairwise(widths)
        for layer in (nn.Linear(inputs, outputs), nn.LeakyReLU(_SLOPE))
    ]


class MlpGenerator(nn.Module):
    """z [batch, latent_dim] -> samples [batch, *sample_shape] in (-1, 1)."""

    def __init__(self, latent_dim: int, widths: Sequence[int], sample_shape: Sequence[int]) -> None:
        super().__init__()
        sizes = [latent_dim, *widths]
        self.layers = nn.Sequential(
            *_hidden(sizes),
            nn.Linear(sizes[-1], math.prod(sample_shape)),
            nn.Tanh(),
            nn.Unflatten(1, tuple(sample_shape)),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Generates."""
        return self.layers(z)


class MlpDiscriminator(nn.Module):
    """Samples [batch, *sample_shape] -> logits [batch]."""

    def __init__(self, widths: Sequence[int], sample_shape: Sequence[int]) -> None:
        super().__init__()
        sizes = [math.prod(sample_shape), *widths]
        self.layers = nn.Sequential(
            nn.Flatten(1), *_hidden(sizes), nn.Linear(sizes[-1], 1), nn.Flatten(0)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Judges."""
        return self.layers(x)
