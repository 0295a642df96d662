"""Plain fully connected networks of all members at once, as batched products.

What `torch.func.vmap` makes of such a network passes over every activation more often than it
must. Here a layer is one product with its bias, and one activation in place; the backward pass is
written out. It can be differentiated once; penalties on gradients need the networks themselves.

Float32 on a CPU is calculated in C (`gan_core.kernels.mlp`) where that was built, on one thread.
What follows is of torch's way, which is left: for other types, devices and threads, and without C.

On AMD CPUs with AVX-512 oneDNN's float32 products were twice as fast as MKL's, which torch calls.
torch's way to them is a setting that allows to round factors to bfloat16, as CPUs with AMX might.
So a product is tried out, and the setting, which all threads share, is changed for single products
only, and only where they are not rounded so.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.kernels.library import best_instructions, why_absent
from gan_core.kernels.mlp import Network, is_suited
from gan_core.networks.mlp import MlpDiscriminator, MlpGenerator

__all__ = ["Dense", "dense_layers", "run_dense"]

_log = logging.getLogger(__name__)

_SMALLEST = 16**3  # torch's mkldnn_gemm_min_size: products up to it never go to oneDNN
_NARROWEST = 16  # inputs and outputs of a layer whose products may be rounded
_FLOAT32_ERROR = 1e-6  # relative, of sums of 64 products; rounding to bfloat16 makes 1e-3


@dataclass(frozen=True)
class _Layer:
    """An affine map and what follows it."""

    name: str
    """Of the layer, in the names of its parameters."""
    activation: nn.Module | None


@dataclass(frozen=True)
class Dense:
    """Layers one after the other, of flat samples."""

    layers: tuple[_Layer, ...]
    ends: tuple[int, ...]
    """Shape of one sample's output; () for a number."""

    @property
    def is_plain(self) -> bool:
        """Whether no tanh stands before the last layer's end."""
        return not any(isinstance(layer.activation, nn.Tanh) for layer in self.layers[:-1])


def dense_layers(module: nn.Module) -> Dense | None:
    """The layers of a network that is nothing but fully connected; None of any other."""
    parts = _parts(module)
    if parts is None:
        return None
    layers: list[_Layer] = []
    ends: tuple[int, ...] = ()
    for name, part in parts:
        match part:
            case nn.Flatten():
                pass
            case nn.Unflatten():
                ends = tuple(part.unflattened_size)
            case nn.LeakyReLU() | nn.ReLU() | nn.Tanh() if layers and not layers[-1].activation:
                layers[-1] = _Layer(layers[-1].name, part)
            case nn.Linear() if type(part) is nn.Linear and part.bias is not None:
                layers.append(_Layer(name, None))
            case _:
                return None
    return Dense(tuple(layers), ends)


def _parts(module: nn.Module) -> list[tuple[str, nn.Module]] | None:
    if type(module) is MlpGenerator and module.input.embedding is None:
        return [(f"layers.{name}", part) for name, part in module.layers.named_children()]
    if type(module) is MlpDiscriminator and module.head.embedding is None:
        parts = [(f"layers.{name}", part) for name, part in module.layers.named_children()]
        return [*parts, ("head.linear", module.head.linear)]
    return None


def run_dense(
    dense: Dense,
    tensors: Mapping[str, Tensor],
    x: Tensor,
    *,
    places: Mapping[str, Tensor] | None = None,
    factors: torch.dtype | None = None,
) -> Tensor:
    """Every member's network on its own samples.

    Args:
        dense: the layers.
        tensors: [members, *shape] of each parameter, by the module's names.
        x: [members, batch, ...].
        places: where the gradients by the parameters shall be written, of the same names and
            shapes: these tensors are then what autograd returns, overwritten by a second backward
            pass. Without, they are fresh ones.
        factors: what factors of products are rounded to, where the sums within are float32's, and
            by torch their results; not in layers of less than 16 inputs or outputs. None: nothing
            is.

    Returns:
        [members, batch, *ends]; can be differentiated once.
    """
    names = [f"{layer.name}.{part}" for layer in dense.layers for part in ("weight", "bias")]
    rows = [None if places is None else places[name] for name in names]
    parameters, x = [tensors[name] for name in names], x.flatten(2)
    rounds = [factors is not None and _may_round(x, weight) for weight in parameters[::2]]
    if dense.is_plain and is_suited(x, parameters, rounds=any(rounds)):
        made = _Compiled.apply(dense.layers, rows, rounds, x, *parameters)
    else:
        if x.dtype is torch.float32 and x.device.type == "cpu":
            _say_that_torch_does_it()
        made = _Run.apply(dense.layers, rows, factors, x, *parameters)
    return made.view(*made.shape[:2], *dense.ends)


@functools.cache
def _say_that_torch_does_it() -> None:
    if why := why_absent():
        _log.warning("fully connected networks train more slowly than they could: %s", why)


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layers: Sequence[_Layer],
        places: Sequence[Tensor | None],
        factors: torch.dtype | None,
        x: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.layers, ctx.places = layers, places
        ctx.wide = [_is_wide(x, weight) for weight in parameters[::2]]
        h, kept = x, []
        with _Switch() as switch:
            for layer, weight, bias, wide in zip(
                layers, parameters[::2], parameters[1::2], ctx.wide, strict=True
            ):
                dtype = factors if factors is not None and _may_round(x, weight) else x.dtype
                h, own = h.to(dtype), weight.to(dtype)
                # oneDNN would copy it at each use.
                own = own.contiguous() if wide else own
                kept += [h, own]
                switch(wide and dtype is x.dtype)
                h = torch.baddbmm(bias[:, None].to(dtype), h, own.mT)
                _activate_(layer.activation, h)
        ctx.save_for_backward(*kept, h)
        return h.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("a gradient of a gradient: call Stack.forward with twice=True")
        kept = ctx.saved_tensors
        wanted, dtype = ctx.needs_input_grad[4:], gradient.dtype
        needs_x = ctx.needs_input_grad[3]
        gradients: list[Tensor | None] = []
        with _Switch() as switch:
            for i in reversed(range(len(ctx.layers))):
                x, weight, y = kept[2 * i : 2 * i + 3]
                is_own = i + 1 < len(ctx.layers)
                slope, y = gradient.to(weight.dtype), y.to(weight.dtype)
                slope = _through(ctx.layers[i].activation, slope, y, in_place=is_own)
                of_weight, of_bias = ctx.places[2 * i : 2 * i + 2]
                switch(ctx.wide[i] and weight.dtype is dtype)
                gradients += [
                    torch.sum(slope, dim=1, dtype=dtype, out=of_bias)
                    if wanted[2 * i + 1]
                    else None,
                    _of_weight(slope, x, dtype, of_weight) if wanted[2 * i] else None,
                ]
                if i or needs_x:
                    gradient = _back(slope, weight)
        return None, None, None, gradient.to(dtype) if needs_x else None, *reversed(gradients)


class _Compiled(torch.autograd.Function):
    """The layers by `gan_core.kernels.mlp`; an activation of the last one is torch's backwards."""

    @staticmethod
    def forward(
        ctx: Any,
        layers: Sequence[_Layer],
        places: Sequence[Tensor | None],
        rounds: Sequence[bool],
        x: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.last, ctx.places = layers[-1].activation, places
        ctx.network = Network(
            parameters,
            slopes=[_slope(layer.activation) for layer in layers],
            tanh=isinstance(ctx.last, nn.Tanh),
            x=x.contiguous(),
            instructions=best_instructions(),
            rounds=rounds,
        )
        made = ctx.network.forward()
        ctx.save_for_backward(x, *parameters, *made)
        return made[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("a gradient of a gradient: call Stack.forward with twice=True")
        _, *kept = ctx.saved_tensors
        parameters, made = kept[: len(ctx.places)], kept[len(ctx.places) :]
        slope = _through(ctx.last, gradient.contiguous(), made[-1], in_place=False)
        wanted = [
            (torch.empty_like(parameter) if place is None else place) if needed else None
            for parameter, place, needed in zip(
                parameters, ctx.places, ctx.needs_input_grad[4:], strict=True
            )
        ]
        of_x = torch.empty_like(ctx.network.x) if ctx.needs_input_grad[3] else None
        ctx.network.backward(made, slope, wanted, of_x=of_x)
        return None, None, None, of_x, *wanted


def _slope(activation: nn.Module | None) -> float | None:
    match activation:
        case nn.LeakyReLU():
            return activation.negative_slope
        case nn.ReLU():
            return 0.0
        case _:
            return None


def _activate_(activation: nn.Module | None, h: Tensor) -> None:
    match activation:
        case nn.LeakyReLU():
            torch.nn.functional.leaky_relu_(h, activation.negative_slope)
        case nn.ReLU():
            h.relu_()
        case nn.Tanh():
            h.tanh_()


def _through(
    activation: nn.Module | None, gradient: Tensor, y: Tensor, *, in_place: bool
) -> Tensor:
    """The gradient before an activation, from that after it and from what the activation made."""
    out = {"grad_input": gradient} if in_place else {}
    match activation:
        case nn.LeakyReLU():
            slope = activation.negative_slope
            return torch.ops.aten.leaky_relu_backward(gradient, y, slope, True, **out)
        case nn.ReLU():
            return torch.ops.aten.threshold_backward(gradient, y, 0, **out)
        case nn.Tanh():
            return torch.ops.aten.tanh_backward(gradient, y, **out)
        case _:
            return gradient


def _of_weight(slope: Tensor, x: Tensor, dtype: torch.dtype, place: Tensor | None) -> Tensor:
    if slope.dtype is dtype:
        return torch.bmm(slope.mT, x, out=place)
    made = torch.bmm(slope.mT, x)
    return made.to(dtype) if place is None else place.copy_(made)


def _back(gradient: Tensor, weight: Tensor) -> Tensor:
    """The gradient before an affine map."""
    if weight.shape[1] == 1:
        return gradient * weight  # a product over one number is slow as a matrix product
    return torch.bmm(gradient, weight)


class _WideProducts:
    """torch's setting, which all threads share: changed while any of them is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = ""

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                settings = _settings()
                self._before = settings.fp32_precision
                settings.fp32_precision = "bf16"
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _settings().fp32_precision = self._before


_wide_products = _WideProducts()


class _Switch:
    """Turns the setting on and off between the products of a network, as seldom as may be."""

    def __init__(self) -> None:
        self._is_on = False

    def __enter__(self) -> _Switch:
        return self

    def __call__(self, wide: bool) -> None:
        if wide is not self._is_on:
            (_wide_products.enter if wide else _wide_products.leave)()
            self._is_on = wide

    def __exit__(self, *_: object) -> None:
        self(False)


def _is_wide(x: Tensor, weight: Tensor) -> bool:
    """Whether to hand a layer's products, forward and backward, to oneDNN.

    torch decides by the size of all members' products together, and both libraries round alike
    whatever the number of members: by the size of one, a member's do not depend on it.
    """
    if x.dtype != torch.float32 or x.device.type != "cpu" or not _full_registers():
        return False
    return _is_large(x, weight)


def _may_round(x: Tensor, weight: Tensor) -> bool:
    """Not layers that are narrow: points and logits would lose digits, and nothing be gained."""
    return min(weight.shape[1:]) >= _NARROWEST and _is_large(x, weight)


def _is_large(x: Tensor, weight: Tensor) -> bool:
    return x.shape[1] * weight.shape[1] * weight.shape[2] > _SMALLEST


@functools.cache
def _full_registers() -> bool:
    """Whether this CPU wants oneDNN's products, and they are products of float32."""
    settings = _settings()
    if not hasattr(settings, "fp32_precision") or not torch.backends.mkldnn.is_available():
        return False
    cpu = Path("/proc/cpuinfo")
    is_amd = cpu.exists() and "AuthenticAMD" in cpu.read_text()
    return is_amd and torch.backends.cpu.get_cpu_capability() == "AVX512" and _is_exact(settings)


def _settings() -> Any:
    return getattr(torch.backends.mkldnn, "matmul", None)  # since torch 2.9


def _is_exact(settings: Any) -> bool:
    ramp = torch.arange(4 * 64 * 64, dtype=torch.float64).view(4, 64, 64)
    a, b = (0.37 * ramp).sin(), (0.73 * ramp).cos()
    with _Switch() as switch:
        switch(True)
        made = torch.bmm(a.float(), b.float()).double()
    return bool((made - a @ b).abs().max() < _FLOAT32_ERROR * 64)
