"""How varied samples are inside the modes of the data: a collapse that no count of modes shows.

A generator that has one image for each class scores as well as a perfect one by its classes; a
mixture's modes that shrank to points score better than perfect by their quality.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.metrics.modes import NO_MODE
from gan_core.mixtures import Mixture

__all__ = ["mixture_traces", "mode_traces", "within_class_spread"]


def mode_traces(features: Tensor, modes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The trace of the features' covariance inside each mode, and the samples that it is of.

    Args:
        features: [K, N, features].
        modes: int64 [K, N], in [0, count) or NO_MODE, which is left out.
        count: number of modes, >= 1.

    Returns:
        Traces, [K, count], float64, >= 0, divided by one less than the number of samples: NaN of
        fewer than two, and where a feature of theirs is not finite. Their numbers, alike.
    """
    members, features = len(features), features.double()
    # Those without a mode are added up beside the others and cut off.
    own = torch.where(modes == NO_MODE, count, modes)
    rows = own + (count + 1) * torch.arange(members, device=own.device)[:, None]

    def by_mode(values: Tensor) -> Tensor:
        """[K, count, ...]; index_put_, because CUDA adds up index_add_ in any order."""
        total = values.new_zeros(members * (count + 1), *values.shape[2:])
        total.index_put_((rows.flatten(),), values.flatten(0, 1), accumulate=True)
        return total.unflatten(0, (members, count + 1))[:, :count]

    # The mean is taken off first: what is far from the origin would lose its digits.
    centred = features - features.mean(1, keepdim=True)
    numbers = by_mode(torch.ones_like(own, dtype=torch.float64))
    between = by_mode(centred).square().sum(-1) / numbers.clamp(min=1)
    scatter = (by_mode(centred.square().sum(-1)) - between).clamp(min=0)
    return torch.where(numbers < 2, torch.nan, scatter / (numbers - 1)), numbers


def mixture_traces(mixture: Mixture) -> Tensor:
    """The same of each mode of a mixture, exactly: of its points of high quality.

    Of N(0, std^2 I) in d dimensions, cut off at a distance of r std, it is
    d std^2 P(chi^2_{d+2} < r^2) / P(chi^2_d < r^2): 0.949 of the whole for d = 2 and r = 3.

    Returns:
        [modes], float64.
    """
    modes, dimensions = mixture.means.shape
    half = torch.tensor([dimensions / 2, dimensions / 2 + 1], dtype=torch.float64)
    inside = torch.special.gammainc(half, torch.full_like(half, mixture.radius_stds**2 / 2))
    trace = dimensions * mixture.std**2 * inside[1] / inside[0]
    return trace.expand(modes).to(mixture.means)


def within_class_spread(features: Tensor, modes: Tensor, reference: Tensor) -> Tensor:
    """sqrt(sum_c p_c tr(S_c) / sum_c p_c tr(R_c)): 1 is right, 0 is one image for each class.

    p_c is the share of samples in mode c, S_c their covariance and R_c the reference's. A mode
    with a single sample tells nothing of its spread and is left out, above and below; so is one
    that the reference cannot tell.

    Args:
        features: [K, N, features].
        modes: int64 [K, N], in [0, modes) or NO_MODE.
        reference: [modes], the traces of R_c, float64; NaN where they cannot be told.

    Returns:
        [K], float64, >= 0; NaN where no mode can be told of, and for a member with a feature that
        is not finite in one that can.
    """
    traces, numbers = mode_traces(features, modes, len(reference))
    told = (numbers >= 2) & reference.isfinite()
    ratio = _weighted(traces, numbers, told) / _weighted(reference, numbers, told)
    return torch.where(told.any(-1), ratio.sqrt(), torch.nan)


def _weighted(traces: Tensor, numbers: Tensor, told: Tensor) -> Tensor:
    return torch.where(told, traces * numbers, 0).sum(-1)
