"""A small style-based GAN (Karras et al. 2020, arXiv:1912.04958, sec. 2 and 4.1).

Mapping network, modulated convolutions, noise, skip connections of colours in G; a residual D
without normalisation, to be trained with R1. It departs from the paper where a cohort needs it:
- z is not normalised. That would divide by its length, which padding changes.
- Colours end in a tanh: samples are promised in [-1, 1].
- D has no minibatch standard deviation: samples that meet in D have no gradients of their own, on
  which R1 and the other penalties stand.
- Neither style mixing nor path length regularisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_core.config import Normalisation
from gan_core.networks.conditioning import LatentInput, LogitHead
from gan_core.networks.equalised import (
    EqualConv2d,
    EqualLinear,
    LeakyRelu,
    ModulatedConv2d,
    bilinear_double,
)

__all__ = ["SIDES", "StyleganDiscriminator", "StyleganGenerator"]

SIDES = (8, 16, 32, 64)
"""Pixels, of square images."""

_SMALLEST = 4
_MAPPING_LAYERS = 3
_MAPPING_RATE = 0.01  # Karras et al. 2019, arXiv:1812.04948, appendix C


def _sides(side: int) -> list[int]:
    return [_SMALLEST * 2**level for level in range(int(math.log2(side // _SMALLEST)) + 1)]


def _width(channels: int, side: int) -> int:
    """Of the feature maps with this side: the fewer the larger, four times at most."""
    return channels * max(1, min(4, 32 // side))


class _Mapping(nn.Sequential):
    """[batch, features] -> w [batch, styles]."""

    def __init__(self, features: int, styles: int) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([features, *[styles] * _MAPPING_LAYERS]):
            layers += [
                EqualLinear(inputs, outputs, rate=_MAPPING_RATE, scaled_for=styles),
                LeakyRelu(),
            ]
        super().__init__(*layers)


class _StyledLayer(nn.Module):
    """Perhaps doubles the side; modulated convolution; noise; bias; LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, styles: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.convolution = ModulatedConv2d(inputs, outputs, 3, styles)
        self.strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.activation = LeakyRelu()

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """noise: [batch, 1, height, width] of the output."""
        y = self.convolution(bilinear_double(x) if self.up else x, w)
        return self.activation(y + self.strength * noise + self.bias[:, None, None])


class _Colours(nn.Module):
    """Feature maps to colours."""

    def __init__(self, inputs: int, colours: int, styles: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, colours, 1, styles, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(colours))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.convolution(x, w) + self.bias[:, None, None]


class StyleganGenerator(nn.Module):
    """z [batch, latent_dim] (, labels [batch]), noise -> images [batch, *sample_shape] in (-1, 1).

    Attributes:
        noise_numel: length of a sample's noise, standard normal: each layer's image, end to end.
    """

    def __init__(
        self, latent_dim: int, channels: int, sample_shape: Sequence[int], *, classes: int = 0
    ) -> None:
        """Draws the weights.

        Args:
            latent_dim: length of z.
            channels: of the feature maps from 32 pixels on; up to four times as many below.
            sample_shape: (channels, side, side), with a side from `SIDES`.
            classes: how many labels there are; 0 for a G without.
        """
        super().__init__()
        colours, side, _ = sample_shape
        sides, styles = _sides(side), 2 * channels
        widths = [_width(channels, own) for own in sides]
        self.input = LatentInput(latent_dim, classes)
        self.mapping = _Mapping(self.input.features, styles)
        self.start = nn.Parameter(torch.randn(widths[0], _SMALLEST, _SMALLEST))
        first = _StyledLayer(widths[0], widths[0], styles, up=False)
        self.layers = nn.ModuleList([first])
        for inputs, outputs in pairwise(widths):
            self.layers.append(_StyledLayer(inputs, outputs, styles, up=True))
            self.layers.append(_StyledLayer(outputs, outputs, styles, up=False))
        self.colours = nn.ModuleList(_Colours(width, colours, styles) for width in widths)
        self._noise_sides = [sides[0], *(own for own in sides[1:] for _ in range(2))]
        self.noise_numel = sum(own**2 for own in self._noise_sides)

    def forward(self, z: Tensor, *labels_and_noise: Tensor) -> Tensor:
        """G(z, noise), or with classes G(z, labels, noise); noise: [batch, noise_numel]."""
        *labels, noise = labels_and_noise
        w = self.mapping(self.input(z, *labels))
        parts = noise.split([side**2 for side in self._noise_sides], dim=1)
        images = [
            part.unflatten(1, (1, side, side))
            for part, side in zip(parts, self._noise_sides, strict=True)
        ]
        x = self.layers[0](self.start.expand(len(z), -1, -1, -1), w, images[0])
        image = self.colours[0](x, w)
        for level, to_colours in enumerate(self.colours[1:]):
            for index in (2 * level + 1, 2 * level + 2):
                x = self.layers[index](x, w, images[index])
            image = bilinear_double(image) + to_colours(x, w)
        return image.tanh()


class _ResidualBlock(nn.Module):
    """Halves the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            EqualConv2d(inputs, inputs, 3),
            LeakyRelu(),
            EqualConv2d(inputs, outputs, 3),
            LeakyRelu(),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), EqualConv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        # Halves the variance that adding up doubles.
        return (self.residual(x) + self.shortcut(x)) / math.sqrt(2)


class StyleganDiscriminator(nn.Module):
    """Images [batch, *sample_shape] (, labels [batch]) -> logits [batch]."""

    def __init__(self, channels: int, sample_shape: Sequence[int], *, classes: int = 0) -> None:
        """Draws the weights.

        Args:
            channels: of the feature maps from 32 pixels on; up to four times as many below.
            sample_shape: (channels, side, side), with a side from `SIDES`.
            classes: how many labels there are; 0 for a D without.
        """
        super().__init__()
        colours, side, _ = sample_shape
        widths = [_width(channels, own) for own in _sides(side)[::-1]]
        top = widths[-1]
        self.layers = nn.Sequential(
            EqualConv2d(colours, widths[0], 1),
            LeakyRelu(),
            *(_ResidualBlock(inputs, outputs) for inputs, outputs in pairwise(widths)),
            EqualConv2d(top, top, 3),
            LeakyRelu(),
            nn.Flatten(1),
            EqualLinear(top * _SMALLEST**2, top),
            LeakyRelu(),
        )
        self.head = LogitHead(top, classes, Normalisation.NONE)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judges."""
        return self.head(self.layers(x), labels)
