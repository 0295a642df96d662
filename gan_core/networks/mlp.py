"""The tutorials' fully connected GANs: tanh at the end of G (for images), logits from D."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from gan_core.config import Activation, Normalisation
from gan_core.networks.conditioning import LatentInput, LogitHead
from gan_core.networks.norms import BatchNorm, linear, normaliser

__all__ = ["TUTORIAL_WIDTHS", "MlpDiscriminator", "MlpGenerator"]

TUTORIAL_WIDTHS = (128, 256, 512, 1024)
"""The hidden layers of the generator that Keras-GAN and PyTorch-GAN have in common."""

_SLOPE = 0.2  # Radford et al. 2016, arXiv:1511.06434, sec. 3
# Keras-GAN's BatchNormalization(momentum=0.8): what is kept there is what is not kept here.
# PyTorch-GAN hands that 0.8 to torch's second argument, which is eps; ours is the usual 1e-5.
_MOMENTUM = 0.2


def _activation(kind: Activation) -> nn.Module:
    match kind:
        case Activation.LEAKY_RELU:
            return nn.LeakyReLU(_SLOPE)
        case Activation.RELU:
            return nn.ReLU()


class MlpGenerator(nn.Module):
    """z [batch, latent_dim] (, labels [batch]) -> samples [batch, *sample_shape].

    Images are in (-1, 1), by a tanh; points, whose sample_shape is (d,), are anywhere.
    """

    def __init__(
        self,
        latent_dim: int,
        widths: Sequence[int],
        sample_shape: Sequence[int],
        *,
        activation: Activation = Activation.LEAKY_RELU,
        batch_norm: bool = False,
        classes: int = 0,
    ) -> None:
        """Draws the weights.

        Args:
            latent_dim: length of z.
            widths: units of the hidden layers.
            sample_shape: (channels, height, width) or (d,).
            activation: of the hidden layers.
            batch_norm: whether all hidden layers but the first are batch-normalised.
            classes: how many labels there are; 0 for a G without.
        """
        super().__init__()
        self.input = LatentInput(latent_dim, classes)
        sizes = [self.input.features, *widths]
        layers: list[nn.Module] = []
        for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
            layers.append(nn.Linear(inputs, outputs))
            if batch_norm and depth > 0:
                layers.append(BatchNorm(outputs, momentum=_MOMENTUM))
            layers.append(_activation(activation))
        end = [nn.Tanh()] if len(sample_shape) > 1 else []
        self.layers = nn.Sequential(
            *layers,
            nn.Linear(sizes[-1], math.prod(sample_shape)),
            *end,
            nn.Unflatten(1, tuple(sample_shape)),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generates."""
        return self.layers(self.input(z, labels))


class MlpDiscriminator(nn.Module):
    """Samples [batch, *sample_shape] (, labels [batch]) -> logits [batch]."""

    def __init__(
        self,
        widths: Sequence[int],
        sample_shape: Sequence[int],
        *,
        activation: Activation = Activation.LEAKY_RELU,
        norm: Normalisation = Normalisation.NONE,
        classes: int = 0,
    ) -> None:
        """Draws the weights.

        Args:
            widths: units of the hidden layers.
            sample_shape: (channels, height, width) or (d,).
            activation: of the hidden layers.
            norm: batch or layer, before each activation; spectral, of every weight.
            classes: how many labels there are; 0 for a D without.
        """
        super().__init__()
        sizes = [math.prod(sample_shape), *widths]
        self.layers = nn.Sequential(
            nn.Flatten(1),
            *(
                layer
                for inputs, outputs in pairwise(sizes)
                for layer in (
                    linear(inputs, outputs, norm),
                    *normaliser(outputs, norm),
                    _activation(activation),
                )
            ),
        )
        self.head = LogitHead(sizes[-1], classes, norm)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judges."""
        return self.head(self.layers(x), labels)
