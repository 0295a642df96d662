"""Layers whose weights are drawn as N(0, 1) and scaled where they are used.

The equalised learning rate of Karras et al. 2018, arXiv:1710.10196, sec. 4.1: under Adam every
weight then moves at the same speed for its size. And the modulated convolution of Karras et al.
2020, arXiv:1912.04958, sec. 2.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, linear

__all__ = ["EqualConv2d", "EqualLinear", "LeakyRelu", "ModulatedConv2d", "bilinear_double"]


class LeakyRelu(nn.Module):
    """sqrt(2) leaky_relu(x, 0.2), which about keeps the mean square of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return leaky_relu(x, 0.2) * math.sqrt(2)


class EqualLinear(nn.Module):
    """x -> x (scale weight)^T + rate bias."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rate: float = 1.0,
        bias: float = 0.0,
        scaled_for: int | None = None,
    ) -> None:
        """Draws the weight so that scale * weight is N(0, 1 / inputs).

        Args:
            inputs: features.
            outputs: features.
            rate: how fast it learns, relative to other layers.
            bias: initial.
            scaled_for: inputs that the scale, rate / sqrt(inputs), is computed for: for a layer
                whose inputs may be padded, which must not change it. Its own by default.
        """
        super().__init__()
        self.rate = rate
        self.scale = rate / math.sqrt(scaled_for or inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / (self.scale * math.sqrt(inputs)))
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs] -> [batch, outputs]."""
        return linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv2d(nn.Conv2d):
    """A convolution by weight / sqrt(inputs k^2) that keeps height and width."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, height, width] -> [batch, outputs, height, width]."""
        return conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class ModulatedConv2d(nn.Module):
    """A convolution whose kernel each sample scales by its own style, input channel by channel.

    With kernel w'_oik = s_i w_oik, demodulated to w'_oik / sqrt(sum_ik w'_oik^2 + 1e-8) (eqs. 1
    and 3). Written as the same convolution for all samples of s_i x_i, and of its outputs times
    that root's inverse, which is equal and needs no kernel for each sample: vmap over members
    would have to group such a convolution twice.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, styles: int, *, demodulate: bool = True
    ) -> None:
        """Draws the weights.

        Args:
            inputs: channels.
            outputs: channels.
            kernel: its side, odd.
            styles: length of w, from which an affine map makes the s_i, all 1 at w = 0.
            demodulate: whether to; not before colours, whose scale is to stay.
        """
        super().__init__()
        self.demodulate = demodulate
        self.style = EqualLinear(styles, inputs, bias=1.0)
        self.convolution = EqualConv2d(inputs, outputs, kernel, bias=False)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: [batch, inputs, height, width]; w: [batch, styles] -> [batch, outputs, ...]."""
        s = self.style(w)
        y = self.convolution(x * s[:, :, None, None])
        if not self.demodulate:
            return y
        kernel = self.convolution.weight * self.convolution.scale
        squares = s.square() @ kernel.square().sum(dim=(2, 3)).T
        return y * (squares + 1e-8).rsqrt()[:, :, None, None]


def bilinear_double(x: Tensor) -> Tensor:
    """Doubles height and width; torch's `interpolate(mode="bilinear", align_corners=False)`.

    Written out because torch's backward pass of it adds up in any order on a GPU.

    Args:
        x: [batch, channels, height, width].

    Returns:
        [batch, channels, 2 height, 2 width].
    """
    return _linear_double(_linear_double(x, -1), -2)


def _linear_double(x: Tensor, dim: int) -> Tensor:
    """Twice as many along one axis, counted from the last, -1."""
    size = x.shape[dim]
    before = torch.cat((x.narrow(dim, 0, 1), x.narrow(dim, 0, size - 1)), dim=dim)
    after = torch.cat((x.narrow(dim, 1, size - 1), x.narrow(dim, size - 1, 1)), dim=dim)
    pairs = (0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after)
    return torch.stack(pairs, dim=dim).flatten(dim - 1, dim)
