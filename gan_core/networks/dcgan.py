"""DCGAN: strided convolutions alone (Radford et al. 2016, arXiv:1511.06434, sec. 3, fig. 1).

ReLU and batch normalisation in G, LeakyReLU 0.2 in D, neither at G's output nor at D's input. The
paper's D is batch-normalised as well; here that is `d_norm`'s to say. Every weight begins as
N(0, 0.02), the scales of G's batch normalisation as N(1, 0.02) (PyTorch's DCGAN example).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from gan_core.config import Normalisation
from gan_core.networks.conditioning import LatentInput, LogitHead
from gan_core.networks.initial import Affine, initialise
from gan_core.networks.norms import BatchNorm, convolution, normaliser

__all__ = ["SIDES", "DcganDiscriminator", "DcganGenerator"]

# Side of the image -> side of the smallest feature map: a power of two apart.
_SMALLEST = {8: 2, 16: 4, 28: 7, 32: 4, 64: 4}
SIDES = tuple(_SMALLEST)
"""Pixels, of square images."""

_STD = 0.02


def _widths(channels: int, side: int) -> list[int]:
    """Channels of the feature maps, from the largest map to the smallest."""
    halvings = int(math.log2(side // _SMALLEST[side]))
    return [channels * 2**depth for depth in range(halvings)]


def _draw(layer: Affine) -> None:
    nn.init.normal_(layer.weight, 0.0, _STD)


def _up(inputs: int, outputs: int, *, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)


class DcganGenerator(nn.Module):
    """z [batch, latent_dim] (, labels [batch]) -> images [batch, *sample_shape] in (-1, 1)."""

    def __init__(
        self, latent_dim: int, channels: int, sample_shape: Sequence[int], *, classes: int = 0
    ) -> None:
        """Draws the weights.

        Args:
            latent_dim: length of z.
            channels: of the largest feature map; twice as many at each halving of its side.
            sample_shape: (channels, side, side), with a side from `SIDES`.
            classes: how many labels there are; 0 for a G without.
        """
        super().__init__()
        colours, side, _ = sample_shape
        widths, smallest = _widths(channels, side)[::-1], _SMALLEST[side]
        self.input = LatentInput(latent_dim, classes)
        self.layers = nn.Sequential(
            nn.Linear(self.input.features, widths[0] * smallest**2, bias=False),
            nn.Unflatten(1, (widths[0], smallest, smallest)),
            BatchNorm(widths[0]),
            nn.ReLU(),
            *(
                layer
                for inputs, outputs in pairwise(widths)
                for layer in (_up(inputs, outputs, bias=False), BatchNorm(outputs), nn.ReLU())
            ),
            _up(widths[-1], colours, bias=True),
            nn.Tanh(),
        )
        initialise(self, _draw)
        for layer in self.layers:
            if isinstance(layer, BatchNorm):
                nn.init.normal_(layer.weight, 1.0, _STD)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generates."""
        return self.layers(self.input(z, labels))


class DcganDiscriminator(nn.Module):
    """Images [batch, *sample_shape] (, labels [batch]) -> logits [batch]."""

    def __init__(
        self,
        channels: int,
        sample_shape: Sequence[int],
        *,
        norm: Normalisation = Normalisation.NONE,
        classes: int = 0,
    ) -> None:
        """Draws the weights.

        Args:
            channels: of the largest feature map; twice as many at each halving of its side.
            sample_shape: (channels, side, side), with a side from `SIDES`.
            norm: batch or layer, of all hidden layers but the first; spectral, of every weight.
            classes: how many labels there are; 0 for a D without.
        """
        super().__init__()
        colours, side, _ = sample_shape
        widths = _widths(channels, side)
        # A bias before batch normalisation would be subtracted again.
        bias = norm is not Normalisation.BATCH
        self.layers = nn.Sequential(
            convolution(colours, widths[0], 4, norm, stride=2),
            nn.LeakyReLU(0.2),
            *(
                layer
                for inputs, outputs in pairwise(widths)
                for layer in (
                    convolution(inputs, outputs, 4, norm, stride=2, bias=bias),
                    *normaliser(outputs, norm, image=True),
                    nn.LeakyReLU(0.2),
                )
            ),
            nn.Flatten(1),
        )
        self.head = LogitHead(widths[-1] * _SMALLEST[side] ** 2, classes, norm)
        initialise(self, _draw)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judges."""
        return self.head(self.layers(x), labels)
