"""What holds activations in bounds, as modules that work alone and stacked under vmap.

Stacked means `torch.func.vmap` over `functional_call` with parameters and buffers of
[members, ...], in training and in eval mode, differentiated twice where a penalty needs it.
Statistics live in buffers and are changed in place, so a stack's own tensors take them in.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from gan_core.config import Normalisation
from gan_core.networks.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear

__all__ = ["BatchNorm", "convolution", "embedding", "linear", "normaliser"]


class BatchNorm(nn.Module):
    """Batch normalisation, in numbers torch's `nn.BatchNorm1d` and `nn.BatchNorm2d`.

    Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2. torch's own loses its update of
    the running statistics under vmap, without a word, wherever the members' are not contiguous.
    Its count of batches, which it uses only without a momentum, is left out.

    Attributes:
        running_mean: [features], what eval mode subtracts.
        running_var: [features], unbiased, what eval mode divides by the root of.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        """Starts as the identity in eval mode.

        Args:
            features: channels, the second axis.
            momentum: weight of the newest batch in the running statistics.
            eps: added to the variance.
        """
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, features, ...], a batch of at least 2 in training mode unless an axis follows."""
        own = (self.running_mean, self.running_var)
        mean, var = (t.clone(memory_format=torch.contiguous_format) for t in own)
        y = batch_norm(x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)
        if self.training:
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
        return y


def normaliser(features: int, norm: Normalisation, *, image: bool = False) -> list[nn.Module]:
    """What follows a layer: one module for batch and layer, none otherwise.

    Args:
        features: of the layer's output.
        norm: the kind.
        image: whether height and width follow the features. Layer normalisation then is over all
            three, with a scale for each channel, as in Gulrajani et al. 2017, arXiv:1704.00028.
    """
    match norm:
        case Normalisation.BATCH:
            return [BatchNorm(features)]
        case Normalisation.LAYER:
            return [nn.GroupNorm(1, features) if image else nn.LayerNorm(features)]
        case _:
            return []


def linear(inputs: int, outputs: int, norm: Normalisation) -> nn.Linear:
    """The affine map itself: spectrally normalised or plain."""
    match norm:
        case Normalisation.SPECTRAL:
            return SpectralLinear(inputs, outputs)
        case _:
            return nn.Linear(inputs, outputs)


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    norm: Normalisation,
    *,
    stride: int = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """A convolution, spectrally normalised or plain.

    It keeps height and width, or at stride 2, with an even kernel, halves them.
    """
    padding = (kernel - 1) // 2
    match norm:
        case Normalisation.SPECTRAL:
            return SpectralConv2d(
                inputs, outputs, kernel, stride=stride, padding=padding, bias=bias
            )
        case _:
            return nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)


def embedding(classes: int, features: int, norm: Normalisation) -> nn.Embedding:
    """A vector for each class, drawn by Glorot's rule as in Miyato's and Koyama's code."""
    match norm:
        case Normalisation.SPECTRAL:
            return SpectralEmbedding(classes, features)
        case _:
            table = nn.Embedding(classes, features)
            nn.init.xavier_uniform_(table.weight)
            return table
