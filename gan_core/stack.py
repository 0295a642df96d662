"""One player's parameters for every slot, flat: a row for each member.

A row holds all tensors of one plain module end to end, each at a multiple of 64 bytes, and a
row's length is such a multiple as well. So every slot is aligned alike (matrix kernels may add up
in another order at another alignment, and a member's numbers must not depend on its slot), and
Adam, clipping, norms and moves between slots are one operation over all tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gan_core.config import ConfigError

__all__ = ["Stack"]

_ALIGNMENT = 16  # elements: 64 bytes of float32


class Stack:
    """The parameters of one player, with Adam's moments.

    Attributes:
        parameters: [slots, width].
        moment1: [slots, width].
        moment2: [slots, width].
        gradient: [slots, width]; scratch between the backward pass and the update.
    """

    def __init__(self, template: nn.Module, slots: int, *, dtype: torch.dtype, device: str) -> None:
        """Allocates.

        Args:
            template: a plain module with the (padded) shapes; only its code and shapes are used.
            slots: rows.
            dtype: of the parameters.
            device: where they live.

        Raises:
            ConfigError: the module has buffers, which are not trained fused.
        """
        buffers = [name for name, _ in template.named_buffers()]
        if buffers:
            right = f"has buffers ({', '.join(buffers)}), which a cohort cannot hold"
            raise ConfigError("model.architecture", type(template).__name__, right)
        self._module = template.to("meta")
        self._places: dict[str, tuple[int, torch.Size]] = {}
        width = 0
        for name, parameter in template.named_parameters():
            self._places[name] = (width, parameter.shape)
            width += -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT
        self.parameters, self.gradient, self.moment1, self.moment2 = (
            torch.zeros(slots, width, dtype=dtype, device=device) for _ in range(4)
        )

    def tensors(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of rows by the module's names: [rows, *shape] of [rows, width]."""
        return {
            name: flat[:, offset : offset + shape.numel()].unflatten(1, shape)
            for name, (offset, shape) in self._places.items()
        }

    def leaves(self, rows: slice, *, requires_grad: bool = False) -> dict[str, Tensor]:
        """The parameters of these rows, to differentiate by or to hold fixed."""
        tensors = self.tensors(self.parameters[rows])
        return {name: t.detach().requires_grad_(requires_grad) for name, t in tensors.items()}

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Every member's module on its own inputs.

        Args:
            tensors: [members, *shape] by the module's names.
            inputs: [members, batch, ...].

        Returns:
            [members, batch, ...].
        """

        def one(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self._module, parameters, (x,))

        return vmap(one, randomness="error")(dict(tensors), inputs)

    def admit(self, row: int, tensors: Mapping[str, Tensor]) -> None:
        """Writes a fresh member's initial parameters, zero-padded, and clears its moments."""
        for flat in (self.parameters, self.gradient, self.moment1, self.moment2):
            flat[row].zero_()
        places = self.tensors(self.parameters[row : row + 1])
        for name, tensor in tensors.items():
            corner = tuple(slice(size) for size in tensor.shape)
            places[name][0][corner].copy_(tensor.detach())

    def export(self, row: int, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """A copy of one member's parameters on the CPU, cut back to its own shapes."""
        places = self.tensors(self.parameters[row : row + 1])
        return {
            name: places[name][0][tuple(slice(size) for size in shape)].cpu().clone()
            for name, shape in shapes.items()
        }

    def rearrange(self, order: Sequence[int]) -> None:
        """Moves row order[i] to row i, for every i; rows beyond are left as they are."""
        index = torch.tensor(order, dtype=torch.int64, device=self.parameters.device)
        for flat in (self.parameters, self.moment1, self.moment2):
            flat[: len(order)] = flat[index]
        # It may hold NaN of who has left, which the norms of who stands there now would see.
        self.gradient.zero_()

    def collect(self, gradients: Sequence[Tensor]) -> Tensor:
        """Lays the gradients of the first members' tensors out flat.

        Args:
            gradients: [members, *shape] each, in the order of `tensors`.

        Returns:
            [members, width], a view of `gradient`.
        """
        flat = self.gradient[: gradients[0].shape[0]]
        for place, gradient in zip(self.tensors(flat).values(), gradients, strict=True):
            place.copy_(gradient)
        return flat

    def accumulate(self, rows: slice, gradients: Sequence[Tensor]) -> None:
        """Adds gradients of these rows' tensors, given as to `collect`, to what it laid out."""
        places = self.tensors(self.gradient[rows])
        for place, gradient in zip(places.values(), gradients, strict=True):
            place.add_(gradient)
