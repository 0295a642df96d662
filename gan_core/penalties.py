"""What holds D back beside its loss: a gradient penalty, or a bound on its weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["clip_weights_", "wgan_gp"]


def wgan_gp(
    discriminator: Callable[[Tensor], Tensor], *, real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """(|grad D(x)| - 1)^2 at x = mix * real + (1 - mix) * fake, per sample, unweighted.

    Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1. Differentiable in D's parameters. A zero
    gradient gives 1 and passes no gradient on. The samples must not meet inside D (no batch
    statistics): the gradient of the sum is taken for each one's own.

    Args:
        discriminator: [members, batch, *shape] -> logits [members, batch].
        real: [members, batch, *shape], in [-1, 1].
        fake: the same shape, without gradient.
        mix: share of the real sample, in [0, 1), [members, batch].

    Returns:
        [members, batch].
    """
    share = mix.view(*mix.shape, *([1] * (real.dim() - 2)))
    x = (share * real + (1 - share) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return (torch.linalg.vector_norm(gradient.flatten(2), dim=2) - 1).square()


def clip_weights_(parameters: Tensor, bound: Tensor) -> None:
    """Clamps each member's parameters to [-bound, bound], in place.

    Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, line 7. NaN stays NaN.

    Args:
        parameters: [members, parameters].
        bound: [members, 1], > 0.
    """
    torch.clamp(parameters, min=-bound, max=bound, out=parameters)
