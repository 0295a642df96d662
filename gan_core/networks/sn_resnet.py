"""SN-GAN's residual networks for 32x32 images (Miyato et al. 2018, arXiv:1802.05957, table 4).

The paper's D is spectrally normalised: `d_norm = "spectral"`; its widths, 256 in G and 128 in D,
are those at 64 channels. Batch or layer normalisation, where chosen for D, precede each of its
ReLUs but the first and the last. Initial weights as in the reference code: Glorot's, times
sqrt(2) in 3x3 kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from gan_core.config import Normalisation
from gan_core.networks.conditioning import LatentInput, LogitHead
from gan_core.networks.initial import Affine, initialise
from gan_core.networks.norms import BatchNorm, convolution, normaliser

__all__ = ["SIDES", "SnResnetDiscriminator", "SnResnetGenerator"]

SIDES = (32,)
"""Pixels, of square images."""

_SMALLEST = 4


def _draw(layer: Affine) -> None:
    is_3x3 = layer.weight.shape[2:] == (3, 3)
    nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(2) if is_3x3 else 1.0)


class _UpBlock(nn.Module):
    """Doubles the side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            BatchNorm(channels),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, channels, 3, padding=1),
            BatchNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        # A 1x1 kernel and copying pixels commute: the smaller image is the cheaper one.
        self.shortcut = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Upsample(scale_factor=2))

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)


class _DownBlock(nn.Module):
    """Halves the side, or keeps it."""

    def __init__(
        self, inputs: int, outputs: int, norm: Normalisation, *, first: bool, down: bool
    ) -> None:
        super().__init__()
        start = [] if first else [*normaliser(inputs, norm, image=True), nn.ReLU()]
        self.residual = nn.Sequential(
            *start,
            convolution(inputs, outputs, 3, norm),
            *normaliser(outputs, norm, image=True),
            nn.ReLU(),
            convolution(outputs, outputs, 3, norm),
            *([nn.AvgPool2d(2)] if down else []),
        )
        # Likewise commuting.
        self.shortcut = (
            nn.Sequential(nn.AvgPool2d(2), convolution(inputs, outputs, 1, norm))
            if down
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)


class SnResnetGenerator(nn.Module):
    """z [batch, latent_dim] (, labels [batch]) -> images [batch, *sample_shape] in (-1, 1)."""

    def __init__(
        self, latent_dim: int, channels: int, sample_shape: Sequence[int], *, classes: int = 0
    ) -> None:
        """Draws the weights.

        Args:
            latent_dim: length of z.
            channels: a quarter of the feature maps' everywhere.
            sample_shape: (channels, 32, 32).
            classes: how many labels there are; 0 for a G without.
        """
        super().__init__()
        width = 4 * channels
        self.input = LatentInput(latent_dim, classes)
        self.layers = nn.Sequential(
            nn.Linear(self.input.features, width * _SMALLEST**2),
            nn.Unflatten(1, (width, _SMALLEST, _SMALLEST)),
            *(_UpBlock(width) for _ in range(3)),
            BatchNorm(width),
            nn.ReLU(),
            nn.Conv2d(width, sample_shape[0], 3, padding=1),
            nn.Tanh(),
        )
        initialise(self, _draw)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generates."""
        return self.layers(self.input(z, labels))


class SnResnetDiscriminator(nn.Module):
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
            channels: half of the feature maps' everywhere.
            sample_shape: (channels, 32, 32).
            norm: batch or layer, before the ReLUs; spectral, of every weight.
            classes: how many labels there are; 0 for a D without.
        """
        super().__init__()
        width = 2 * channels
        self.layers = nn.Sequential(
            _DownBlock(sample_shape[0], width, norm, first=True, down=True),
            _DownBlock(width, width, norm, first=False, down=True),
            _DownBlock(width, width, norm, first=False, down=False),
            _DownBlock(width, width, norm, first=False, down=False),
            nn.ReLU(),
        )
        self.head = LogitHead(width, classes, norm)
        initialise(self, _draw)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judges; features are summed over the image."""
        return self.head(self.layers(x).sum(dim=(2, 3)), labels)
