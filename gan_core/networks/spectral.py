"""Spectral normalisation: layers whose weight is divided by its largest singular value.

Miyato et al. 2018, arXiv:1802.05957, algorithm 1: one power iteration in each forward pass in
training mode, none in eval mode. Value for value `torch.nn.utils.parametrizations.spectral_norm`,
whose `out=` operations vmap refuses. A zero weight gives NaN, as it does there; NaN stays NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, embedding, linear, normalize

__all__ = ["Spectral", "SpectralConv2d", "SpectralEmbedding", "SpectralLinear"]

_FIRST_ITERATIONS = 15  # torch's, so that sigma is close from the first step on
_EPS = 1e-12


class Spectral(nn.Module):
    """What these layers share: a weight and the estimates of its first singular vectors.

    Attributes:
        weight: [outputs, ...]; taken as the matrix [outputs, rest].
        u: [outputs], of norm 1.
        v: [rest], of norm 1.
    """

    weight: Tensor
    u: Tensor
    v: Tensor

    def start(self) -> None:
        """Draws u and v, then aligns them; for the end of `__init__`."""
        for name, size in zip("uv", self.weight.flatten(1).shape, strict=True):
            self.register_buffer(name, normalize(torch.randn(size), dim=0, eps=_EPS))
        self.align()

    def align(self) -> None:
        """Brings u and v close to the weight's singular vectors; after it was drawn anew."""
        for _ in range(_FIRST_ITERATIONS):
            self._iterate()

    def normalised(self) -> Tensor:
        """Weight / sigma, with sigma = u^T W v, in which u and v count as constants."""
        if self.training:
            self._iterate()
        # Copies: a second forward pass before the backward pass changes the buffers in place.
        u, v = self.u.clone(), self.v.clone()
        return self.weight / torch.dot(u, self.weight.flatten(1) @ v)

    @torch.no_grad()
    def _iterate(self) -> None:
        matrix = self.weight.flatten(1)
        self.u.copy_(normalize(matrix @ self.v, dim=0, eps=_EPS))
        self.v.copy_(normalize(matrix.T @ self.u, dim=0, eps=_EPS))


class SpectralLinear(Spectral, nn.Linear):
    """`nn.Linear` of spectral norm 1."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs] -> [batch, outputs]."""
        return linear(x, self.normalised(), self.bias)


class SpectralConv2d(Spectral, nn.Conv2d):
    """`nn.Conv2d` whose kernel, as a matrix [outputs, inputs * k * k], has spectral norm 1."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding, bias=bias)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, height, width] -> [batch, outputs, ...]."""
        return conv2d(x, self.normalised(), self.bias, self.stride, self.padding)


class SpectralEmbedding(Spectral, nn.Embedding):
    """`nn.Embedding` whose table has spectral norm 1 (the reference code's SNEmbedID)."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__(classes, features)
        nn.init.xavier_uniform_(self.weight)
        self.start()

    def forward(self, labels: Tensor) -> Tensor:
        """[batch] -> [batch, features]."""
        return embedding(labels, self.normalised())
