"""Initial weights that an architecture's paper asks for."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from gan_core.networks.spectral import Spectral

__all__ = ["Affine", "initialise"]

Affine = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
"""Layers with a weight to draw and perhaps a bias to clear."""


def initialise(network: nn.Module, draw: Callable[[Affine], object]) -> None:
    """Draws every affine layer's weight, from torch's own stream, and clears its bias.

    Args:
        network: changed in place.
        draw: fills `layer.weight`.
    """
    for layer in network.modules():
        if isinstance(layer, Affine):
            draw(layer)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if isinstance(layer, Spectral):
            layer.align()
