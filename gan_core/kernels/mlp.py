"""Fully connected networks of all members in C, a member at a time: forwards and backwards.

What torch makes of them passes over every activation once more for each bias, activation and
derivative, and sends a cohort's activations through memory between two layers. Here a member's
stand in the processor's cache, and what follows a product is done while it is in registers. It is
for x86-64 with AVX2 or AVX-512, and for factors of bfloat16 with AVX512_BF16; GCC builds it when
gansweep is installed (`mlp.c`). Sums are of float32 in one order, which depends on the shapes
alone: not on the number of members, nor on memory's alignment. NaN and inf go through as in torch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from gan_core.kernels.library import Instructions, address, best_instructions, library

__all__ = ["Network", "is_suited"]


class _Follows(IntEnum):
    """What a layer's sums go through; mlp.c's numbers."""

    NOTHING = 0
    RELU = 1
    TANH = 2


class _Layer(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_long),
        ("outputs", ctypes.c_long),
        ("follows", ctypes.c_long),
        ("rounds", ctypes.c_long),
        ("slope", ctypes.c_double),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("weight_stride", ctypes.c_long),
        ("bias_stride", ctypes.c_long),
        ("of_weight", ctypes.c_void_p),
        ("of_bias", ctypes.c_void_p),
        ("of_weight_stride", ctypes.c_long),
        ("of_bias_stride", ctypes.c_long),
        ("made", ctypes.c_void_p),
    )


class _Network(ctypes.Structure):
    _fields_ = (
        ("members", ctypes.c_long),
        ("batch", ctypes.c_long),
        ("depth", ctypes.c_long),
        ("x", ctypes.c_void_p),
        ("layers", ctypes.POINTER(_Layer)),
    )


def is_suited(x: Tensor, parameters: Sequence[Tensor], *, rounds: bool = False) -> bool:
    """Whether `Network` can run these: on a CPU, in float32, in shapes that fit, on one thread.

    With more threads torch's own products use them all.

    Args:
        x: [members, batch, inputs].
        parameters: weight [members, outputs, inputs] and bias [members, outputs] of each layer.
        rounds: whether any layer is to round its factors to bfloat16.
    """
    if x.dtype is not torch.float32 or x.device.type != "cpu" or torch.get_num_threads() != 1:
        return False
    least = Instructions.AVX512_BF16 if rounds else Instructions.AVX2
    if best_instructions() < least:
        return False
    members, inputs = x.shape[0], x.shape[2]
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        outputs = weight.shape[1]
        if weight.shape != (members, outputs, inputs) or bias.shape != (members, outputs):
            return False
        if weight.dtype is not x.dtype or bias.dtype is not x.dtype or not outputs:
            return False
        if weight.stride()[1:] != (inputs, 1) or bias.stride(1) != 1:
            return False
        inputs = outputs
    return x.numel() > 0 and bool(parameters)


@dataclass(eq=False)
class Network:
    """One pass of every member through its layers.

    Args:
        parameters: weight [members, outputs, inputs] and bias [members, outputs] of each layer,
            one after the other; a member's are dense.
        slopes: of the (leaky) ReLU after each layer, below zero; None where there is none.
        tanh: whether one follows the last layer: to 5 units in the last place.
        x: [members, batch, inputs], dense; see `is_suited`.
        instructions: which kernels.
        rounds: of each layer whether the factors of its products are rounded to bfloat16, which
            takes AVX512_BF16; sums, and all between two products, are float32. Without: of none.
    """

    parameters: Sequence[Tensor]
    slopes: Sequence[float | None]
    tanh: bool
    x: Tensor
    instructions: Instructions
    rounds: Sequence[bool] = ()

    def forward(self) -> list[Tensor]:
        """What each layer makes: [members, batch, outputs].

        Raises:
            MemoryError: there is none for a layer's packed weight.
        """
        members, batch = self.x.shape[:2]
        made = [self.x.new_empty(members, batch, w.shape[1]) for w in self.parameters[::2]]
        self._call("forward", self._network(made, [None] * len(self.parameters)))
        return made

    def backward(
        self,
        made: Sequence[Tensor],
        slope: Tensor,
        places: Sequence[Tensor | None],
        *,
        of_x: Tensor | None,
    ) -> None:
        """Writes the gradients that are wanted.

        Args:
            made: what `forward` returned; of the last layer only its shape is read.
            slope: the gradient by what the last layer makes, before any activation; dense.
            places: where that by each parameter goes, of the parameters' shapes, a member's dense;
                None where it is not wanted.
            of_x: where that by x goes, dense; or None.

        Raises:
            MemoryError: there is none for the slopes between layers.
        """
        network = self._network(made, places)
        self._call("backward", network, address(slope), address(of_x))

    def _network(self, made: Sequence[Tensor], places: Sequence[Tensor | None]) -> _Network:
        layers = (_Layer * len(made))()
        for i, (layer, slope, output) in enumerate(zip(layers, self.slopes, made, strict=True)):
            weight, bias = self.parameters[2 * i : 2 * i + 2]
            of_weight, of_bias = places[2 * i : 2 * i + 2]
            _, layer.outputs, layer.inputs = weight.shape
            layer.follows = _Follows.NOTHING if slope is None else _Follows.RELU
            layer.slope, layer.rounds = slope or 0.0, bool(self.rounds) and self.rounds[i]
            layer.weight, layer.weight_stride = weight.data_ptr(), weight.stride(0)
            layer.bias, layer.bias_stride = bias.data_ptr(), bias.stride(0)
            if of_weight is not None:
                layer.of_weight, layer.of_weight_stride = of_weight.data_ptr(), of_weight.stride(0)
            if of_bias is not None:
                layer.of_bias, layer.of_bias_stride = of_bias.data_ptr(), of_bias.stride(0)
            layer.made = output.data_ptr()
        if self.tanh:
            layers[-1].follows = _Follows.TANH
        members, batch = self.x.shape[:2]
        return _Network(members, batch, len(layers), self.x.data_ptr(), layers)

    def _call(self, name: str, network: _Network, *rest: int | None) -> None:
        if getattr(library(), name)(self.instructions, ctypes.addressof(network), *rest):
            raise MemoryError("no memory for a kernel's scratch")
