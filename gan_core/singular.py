"""Spectral norms of a cohort's weights, which blow up or fall when training does.

BigGAN (Brock et al. 2019, arXiv:1809.11096, sec. 4.1) saw the norms of G's layers explode as it
collapsed and D's spike before they recover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gan_core.cohort import Cohort, Member
from gan_core.stack import Stack

__all__ = ["largest_layer", "spectral_norms", "top_singular_values"]

_STEPS = 20
_CHUNK_VALUES = 2**25  # weights copied at once


def spectral_norms(cohort: Cohort, members: Sequence[Member]) -> dict[str, list[float | None]]:
    """The largest singular value of the layer of G and of D that has the most parameters.

    As they are trained: not G's moving average, and before a normalisation of D divides it. Zeros
    that pad G's latent dimension change nothing.

    Args:
        cohort: where the members stand.
        members: whose.

    Returns:
        `spectral_norm_g` and `spectral_norm_d`, for each member: None for a network without a
        matrix or a convolution, NaN for weights that are not finite.
    """
    (g_kind,) = cohort.G.kinds
    slots = [cohort.slot(member) for member in members]
    in_g = [(g_kind, largest_layer(member.g_shapes)) for member in members]
    in_d = [(m.config.d_norm.value, largest_layer(m.d_shapes)) for m in members]
    return {
        "spectral_norm_g": _of_layers(cohort.G, slots, in_g),
        "spectral_norm_d": _of_layers(cohort.D, slots, in_d),
    }


def largest_layer(shapes: Mapping[str, torch.Size]) -> str | None:
    """Name of the weight with the most elements, the first of equals; None without a matrix.

    Args:
        shapes: of a network's parameters.
    """
    matrices = {name: shape.numel() for name, shape in shapes.items() if len(shape) > 1}
    return max(matrices, key=lambda name: matrices[name], default=None)


@torch.no_grad()
def top_singular_values(matrices: Tensor) -> Tensor:
    """The largest singular value of each matrix, or up to 1% less.

    Golub-Kahan bidiagonalisation with full reorthogonalisation, started from one fixed vector
    (Golub & Van Loan 2013, sec. 10.4.1): a tenth of the time of a decomposition, and far nearer
    than as many power iterations. It is furthest off, by 0.5%, for random matrices of some 512
    rows, whose values stand close; a trained layer's stand apart.

    Args:
        matrices: [K, rows, columns], floating; none changes a bit of another's.

    Returns:
        [K], float64, >= 0; NaN for a matrix that is not finite.
    """
    greatest = matrices.abs().amax((1, 2))
    sound = greatest.isfinite()
    scale = torch.where(sound & (greatest > 0), greatest, 1)
    # Squares of what is about to diverge would overflow.
    matrices = torch.where(sound[:, None, None], matrices / scale[:, None, None], 0)
    count, rows, columns = matrices.shape
    random = torch.Generator().manual_seed(0)
    start = torch.randn(rows, generator=random, dtype=torch.float64).to(matrices)
    left = [_unit(start.expand(count, rows))[0]]
    right: list[Tensor] = []
    diagonal, beside = [], []
    for _ in range(min(_STEPS, rows, columns)):
        v, alpha = _next(matrices.mT, left[-1], right)
        right.append(v)
        diagonal.append(alpha)
        u, beta = _next(matrices, v, left)
        left.append(u)
        beside.append(beta)
    # Lower bidiagonal: A V = U B, one row longer than wide.
    steps = len(diagonal)
    projected = torch.zeros(count, steps + 1, steps, dtype=torch.float64, device=matrices.device)
    index = torch.arange(steps)
    projected[:, index, index] = torch.stack(diagonal, 1).double()
    projected[:, index + 1, index] = torch.stack(beside, 1).double()
    values = torch.linalg.svdvals(projected)[:, 0] * scale
    return torch.where(sound, values, torch.nan)


def _next(matrices: Tensor, vector: Tensor, basis: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The products without what lies in the basis: their directions and lengths."""
    product = new = _products(matrices, vector)
    if basis:
        known = torch.stack(basis, 1)
        for _ in range(2):  # once leaves rounding, which the next steps would amplify
            within = (known * new.unsqueeze(1)).sum(2, keepdim=True)
            new = new - (known * within).sum(1)
    # Of a matrix of low rank nothing is left but rounding, whose direction means nothing.
    rounding = 100 * torch.finfo(new.dtype).eps * _lengths(product)
    return _unit(torch.where(_lengths(new) > rounding, new, 0))


def _products(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Each matrix times its vector, laid down: standing, MKL takes tenfold the time."""
    return torch.bmm(vectors.unsqueeze(1), matrices.mT).squeeze(1)


def _unit(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Directions [K, n] and lengths [K]; the direction of a zero is a zero."""
    lengths = _lengths(vectors)
    return vectors / lengths.clamp(min=torch.finfo(vectors.dtype).tiny), lengths.squeeze(-1)


def _lengths(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def _of_layers(
    stack: Stack, slots: Sequence[int], layers: Sequence[tuple[str, str | None]]
) -> list[float | None]:
    """Of each member's layer, given with its kind; those of one shape at once."""
    norms: list[float | None] = [None] * len(slots)
    for kind, name in dict.fromkeys(layers):
        if name is None:
            continue
        weights = stack.tensors(kind, stack.parameters)[name].flatten(2)
        asked = [i for i, layer in enumerate(layers) if layer == (kind, name)]
        at_once = max(1, _CHUNK_VALUES // weights[0].numel())
        rows = torch.tensor([slots[i] for i in asked], device=weights.device).split(at_once)
        values = torch.cat([top_singular_values(weights[chunk]) for chunk in rows])
        for i, value in zip(asked, values.tolist(), strict=True):
            norms[i] = value
    return norms
