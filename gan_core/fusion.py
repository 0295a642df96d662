"""Whether networks can be stacked: probed, for what a user's own may do cannot be known."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gan_core.config import ConfigError
from gan_core.out_of_memory import out_of_memory

__all__ = ["check_runs", "check_separate", "runs_fused"]

_KEY = "model.architecture"

_log = logging.getLogger(__name__)


def check_separate(
    architecture: str, first: Sequence[nn.Module], second: Sequence[nn.Module]
) -> None:
    """Refuses a factory that gives two members the same parameters.

    Args:
        architecture: how an error names it.
        first: the players of one call.
        second: those of another.

    Raises:
        ConfigError: they share a parameter or a buffer.
    """
    tensors = [
        {id(t) for module in players for t in (*module.parameters(), *module.buffers())}
        for players in (first, second)
    ]
    if tensors[0] & tensors[1]:
        right = "gives two members the same parameters: must build new modules at each call"
        raise ConfigError(_KEY, architecture, right)


def check_runs(
    architecture: str, module: nn.Module, inputs: Sequence[Tensor], expected: Sequence[int]
) -> None:
    """Runs a user's plain network once.

    Args:
        architecture: how an error names it.
        module: G or D.
        inputs: what it is called with, [batch, ...] each.
        expected: shape of its output.

    Raises:
        ConfigError: it fails, or its output has another shape.
    """
    given = ", ".join(f"{list(x.shape)}" for x in inputs)
    name = type(module).__name__
    try:
        made = list(module(*inputs).shape)
    except Exception as error:  # a user's code may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(_KEY, architecture, f"{name} fails on {given}: {reason}") from error
    if made != list(expected):
        right = f"{name} makes {made} of {given}: must be {list(expected)}"
        raise ConfigError(_KEY, architecture, right)


def runs_fused(architecture: str, module: nn.Module, inputs: Sequence[Tensor]) -> bool:
    """Whether `torch.func.vmap` runs the module, forwards and backwards; warns if it does not.

    Args:
        architecture: how a message names it.
        module: a plain one.
        inputs: what it is called with, [batch, ...] each.

    Raises:
        ConfigError: the module draws random numbers, which no member's seed would reach.
        RuntimeError: there is not enough memory to find out.
    """
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    stacked = {name: torch.stack((t, t)).detach() for name, t in own.items()}
    leaves = [stacked[name].requires_grad_() for name, _ in module.named_parameters()]

    def one(tensors: dict[str, Tensor], x: tuple[Tensor, ...]) -> Tensor:
        return functional_call(module, tensors, x)

    try:
        twice = tuple(torch.stack((x, x)) for x in inputs)
        made = vmap(one, randomness="error")(stacked, twice)
        torch.autograd.grad(made.sum(), leaves, allow_unused=True)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        if "random" in reason:
            right = "draws random numbers, which no seed reaches: must take noise as an input"
            raise ConfigError(_KEY, architecture, f"{right} (noise_numel)") from error
        _log.warning("%s is trained one member at a time: %s", architecture, reason[:200])
        return False
    return True
