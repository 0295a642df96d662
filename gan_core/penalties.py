"""What holds D back beside its loss: a gradient penalty, or a bound on its weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["clip_weights_", "dragan", "r1", "r1r2", "wgan_gp"]

Critic = Callable[[Tensor], Tensor]


def wgan_gp(discriminator: Critic, *, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
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
    return (_gradient_norm(discriminator, share * real + (1 - share) * fake) - 1).square()


def dragan(discriminator: Critic, *, real: Tensor, perturbation: Tensor, mix: Tensor) -> Tensor:
    """(|grad D(x)| - 1)^2 at x = real + mix * std(real) / 2 * perturbation, per sample, unweighted.

    Kodali et al. 2017, arXiv:1705.07215, and its author's notebook (kodalinaveen3/DRAGAN@5cf95ab):
    k = 1; the noise is uniform in [0, 1) times half the standard deviation of the batch, one
    number over all its values (numpy's, of the population); x lies between the real sample and
    its perturbed copy.

    Args:
        discriminator: [members, batch, *shape] -> logits [members, batch].
        real: [members, batch, *shape].
        perturbation: uniform in [0, 1), the same shape.
        mix: uniform in [0, 1), [members, batch].

    Returns:
        [members, batch].
    """
    std = real.flatten(1).std(dim=1, correction=0)
    scale = mix * std[:, None] / 2
    x = real + scale.view(*mix.shape, *([1] * (real.dim() - 2))) * perturbation
    return (_gradient_norm(discriminator, x) - 1).square()


def r1(discriminator: Critic, *, real: Tensor) -> Tensor:
    """|grad D(x)|^2 / 2 at real samples, per sample; times gamma it is R1.

    Mescheder et al. 2018, arXiv:1801.04406, eq. 9; with its factor 1/2, which the authors' code
    (GAN_stability, train.py) leaves to gamma.

    Args:
        discriminator: [members, batch, *shape] -> logits [members, batch].
        real: [members, batch, *shape].

    Returns:
        [members, batch].
    """
    return _gradient(discriminator, real).flatten(2).square().sum(dim=2) / 2


def r1r2(discriminator: Critic, *, real: Tensor, fake: Tensor) -> Tensor:
    """R1 on the real samples plus the same on the generated ones (R2), per pair of samples.

    Huang et al. 2024 (R3GAN), arXiv:2501.05441, sec. 2.2: both at every step, with one gamma.

    Args:
        discriminator: [members, batch, *shape] -> logits [members, batch].
        real: [members, batch, *shape].
        fake: the same shape, without gradient.

    Returns:
        [members, batch].
    """
    first, second = r1(discriminator, real=torch.cat((real, fake), dim=1)).tensor_split(2, dim=1)
    return first + second


def _gradient(discriminator: Critic, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient


def _gradient_norm(discriminator: Critic, x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(_gradient(discriminator, x).flatten(2), dim=2)


def clip_weights_(parameters: Tensor, bound: Tensor) -> None:
    """Clamps each member's parameters to [-bound, bound], in place.

    Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, line 7. NaN stays NaN.

    Args:
        parameters: [members, parameters].
        bound: [members, 1], > 0.
    """
    torch.clamp(parameters, min=-bound, max=bound, out=parameters)
