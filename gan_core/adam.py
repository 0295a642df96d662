"""Adam for all members at once, each with its own rates, decays and step count."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_core.kernels import adam

__all__ = ["Rates", "adam_step_", "descend_"]

_EPSILON = 1e-8


@dataclass(frozen=True, eq=False)
class Rates:
    """One player's settings for each member, all float64 [members, 1]."""

    lr: Tensor
    """Learning rate; 0 leaves the member's parameters as they are."""
    beta1: Tensor
    beta2: Tensor


def descend_(
    parameters: Tensor,
    gradient: Tensor,
    moment1: Tensor,
    moment2: Tensor,
    *,
    rates: Rates,
    count: Tensor,
    alive: Tensor,
) -> Tensor:
    """One update, see `adam_step_`, of the members that are alive and whose gradient is finite.

    Args:
        parameters: as `adam_step_` has them, and so the next five; those of others stay as they
            are.
        gradient: may be destroyed.
        moment1: of the dead anything.
        moment2: likewise.
        rates: of the dead not read.
        count: likewise.
        alive: bool [members]; false from now on for those whose gradient's norm is not finite.

    Returns:
        The gradients' norms, [members].
    """
    if adam.is_suited(parameters):
        return adam.descend(
            parameters,
            gradient,
            (moment1, moment2),
            rates=(rates.lr, rates.beta1, rates.beta2),
            count=count,
            alive=alive,
            epsilon=_EPSILON,
        )
    norm = torch.linalg.vector_norm(gradient, dim=1)
    alive &= norm.isfinite()
    # Asking is free on a CPU; on a GPU it would make the host wait, so there the pass is made.
    if gradient.device.type != "cpu" or not alive.all():
        gradient.masked_fill_(~alive[:, None], 0)
    rates = Rates(lr=rates.lr * alive[:, None], beta1=rates.beta1, beta2=rates.beta2)
    adam_step_(parameters, gradient, moment1, moment2, rates=rates, count=count)
    return norm


def adam_step_(
    parameters: Tensor,
    gradient: Tensor,
    moment1: Tensor,
    moment2: Tensor,
    *,
    rates: Rates,
    count: Tensor,
) -> None:
    """One update in place, as `torch.optim.Adam` makes it (epsilon 1e-8, no weight decay).

    Kingma and Ba 2015, arXiv:1412.6980, algorithm 1. A non-finite gradient makes its own member's
    row non-finite and touches no other. The gradient's memory may be used up as scratch.

    Args:
        parameters: [members, parameters].
        gradient: the same shape; may be destroyed.
        moment1: running mean of the gradient, the same shape.
        moment2: running mean of its square, the same shape.
        rates: per member.
        count: int64 [members, 1], updates made including this one, >= 1.
    """
    if parameters.device.type == "cpu":
        _step_rows_(parameters, gradient, moment1, moment2, rates=rates, count=count)
    else:
        _step_all_(parameters, gradient, moment1, moment2, rates=rates, count=count)


def _step_rows_(
    parameters: Tensor,
    gradient: Tensor,
    moment1: Tensor,
    moment2: Tensor,
    *,
    rates: Rates,
    count: Tensor,
) -> None:
    """Row by row in torch's fused kernel, the one behind `torch.optim.Adam(fused=True)`.

    It passes over memory once, where tensor operations for all rows make nine passes.
    """
    rows = zip(parameters, gradient, moment1, moment2, count.float().unbind(0), strict=True)
    columns = torch.cat((rates.lr, rates.beta1, rates.beta2), dim=1).tolist()
    for (own, slope, first, second, updates), (lr, beta1, beta2) in zip(rows, columns, strict=True):
        torch._fused_adam_(
            [own],
            [slope],
            [first],
            [second],
            [],
            [updates],
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )


def _step_all_(
    parameters: Tensor,
    gradient: Tensor,
    moment1: Tensor,
    moment2: Tensor,
    *,
    rates: Rates,
    count: Tensor,
) -> None:
    """All rows at once in tensor operations: nothing that a GPU's host would have to read."""
    dtype = parameters.dtype
    correction1 = 1 - rates.beta1**count
    correction2 = 1 - rates.beta2**count
    moment1.lerp_(gradient, (1 - rates.beta1).to(dtype))
    moment2.lerp_(gradient.square_(), (1 - rates.beta2).to(dtype))
    torch.sqrt(moment2, out=gradient)
    gradient.div_(correction2.sqrt().to(dtype)).add_(_EPSILON)
    torch.div(moment1, gradient, out=gradient)
    parameters.sub_(gradient.mul_((rates.lr / correction1).to(dtype)))
