"""Adam's updates in C: each member's gradient is read once for its norm and once for the update."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.kernels.library import address, library

__all__ = ["descend", "is_suited"]


def is_suited(parameters: Tensor) -> bool:
    """Whether `descend` takes these: built, float32 on a CPU, and one thread."""
    is_plain = parameters.dtype is torch.float32 and parameters.device.type == "cpu"
    return is_plain and torch.get_num_threads() == 1 and library() is not None


def descend(
    parameters: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    *,
    rates: tuple[Tensor, Tensor, Tensor],
    count: Tensor,
    alive: Tensor,
    epsilon: float,
) -> Tensor:
    """As `gan_core.adam.descend_`, of dense rows; moments of the dead stay as they are.

    Returns:
        The gradients' norms, [members].
    """
    members, width = parameters.shape
    norms = parameters.new_empty(members)
    dense = [each.contiguous() for each in (*rates, count)]
    places = map(address, (parameters, gradient, *moments, *dense))
    library().descend(members, width, *places, epsilon, address(alive), address(norms))
    return norms
