"""One player's parameters for every slot, flat: a row for each member.

A row holds all tensors of one plain module end to end, each at a multiple of 64 bytes, and a
row's length is such a multiple as well. So every slot is aligned alike (matrix kernels may add up
in another order at another alignment, and a member's numbers must not depend on its slot), and
Adam, clipping, norms and moves between slots are one operation over all tensors.

Members may have different modules, of one *kind* each (D's normalisation): a row is as long as
the longest kind's, and what a shorter one leaves over stays zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gan_core.dense import Dense, dense_layers, run_dense

__all__ = ["Stack", "corner"]

_ALIGNMENT = 16  # elements: 64 bytes of float32
_MOST_VIEWS = 64  # runs of rows; a cohort of mixed members has some ten


@dataclass(frozen=True, eq=False)
class _Kind:
    """A module without values of its own, and where its tensors stand."""

    module: nn.Module
    places: dict[str, tuple[int, torch.Size]]
    """Offset in a row and shape of each parameter."""
    buffers: dict[str, Tensor]
    """[slots, *shape] of each buffer."""
    dense: Dense | None
    """The module's layers, where it has no others than fully connected ones."""


class Stack:
    """The parameters of one player, with Adam's moments and the modules' buffers.

    Args:
        slots: rows.
        dtype: of the parameters.
        device: where they live.
        fused: whether modules run for all members at once (`torch.func.vmap`) or one by one;
            fused they must draw nothing at random.
        factors: what plain fully connected networks round to before they multiply.

    Attributes:
        parameters: [slots, width].
        moment1: [slots, width].
        moment2: [slots, width].
        gradient: [slots, width]; scratch between the backward pass and the update.
        average: [slots, width], moving average of the parameters where one is kept.
    """

    def __init__(
        self,
        slots: int,
        *,
        dtype: torch.dtype,
        device: str,
        fused: bool = True,
        factors: torch.dtype | None = None,
    ) -> None:
        self.fused = fused
        self.factors = factors
        self._kinds: dict[str, _Kind] = {}
        self._views: dict[tuple[str, int, int, str], dict[str, Tensor]] = {}
        self.parameters, self.gradient, self.moment1, self.moment2, self.average = (
            torch.zeros(slots, 0, dtype=dtype, device=device) for _ in range(5)
        )

    @property
    def kinds(self) -> list[str]:
        """Those that members may be of."""
        return list(self._kinds)

    def add_kind(self, kind: str, template: nn.Module) -> None:
        """Makes room for members of a kind.

        Args:
            kind: its name.
            template: a plain module with the (padded) shapes; its values are not used.
        """
        self._views.clear()
        places, width = {}, 0
        for name, parameter in template.named_parameters():
            places[name] = (width, parameter.shape)
            width += -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT
        slots, more = len(self.parameters), width - self.parameters.shape[1]
        for name in ("parameters", "gradient", "moment1", "moment2", "average"):
            if more > 0:
                wider = torch.nn.functional.pad(getattr(self, name), (0, more))
                setattr(self, name, wider.contiguous())
        buffers = {
            name: torch.zeros(slots, *b.shape, dtype=self._buffer_type(b), device=self._device)
            for name, b in template.named_buffers()
        }
        self._kinds[kind] = _Kind(template.to("meta"), places, buffers, dense_layers(template))

    @property
    def _device(self) -> torch.device:
        return self.parameters.device

    def _buffer_type(self, buffer: Tensor) -> torch.dtype:
        return self.parameters.dtype if buffer.is_floating_point() else buffer.dtype

    def tensors(self, kind: str, flat: Tensor) -> dict[str, Tensor]:
        """Views of rows by the module's names: [rows, *shape] of [rows, width]."""
        return {
            name: flat[:, offset : offset + shape.numel()].view(len(flat), *shape)
            for name, (offset, shape) in self._kinds[kind].places.items()
        }

    def leaves(
        self, kind: str, rows: slice, *, requires_grad: bool = False, fresh: bool = False
    ) -> dict[str, Tensor]:
        """The parameters of these rows, to differentiate by or to hold fixed.

        The same tensors at every call (`torch.autograd.grad` leaves nothing in them), unless they
        are to be `fresh`: of gradients by both in one backward pass each is then its own.
        """
        if fresh:
            tensors = self.tensors(kind, self.parameters[rows])
            return {name: t.detach().requires_grad_(requires_grad) for name, t in tensors.items()}
        key = (kind, rows.start or 0, rows.stop, "wanted" if requires_grad else "fixed")
        if (found := self._views.get(key)) is None:
            found = self.leaves(kind, rows, requires_grad=requires_grad, fresh=True)
            self._keep(key, found)
        return found

    def places(self, kind: str, rows: slice) -> dict[str, Tensor]:
        """Views of `gradient`, as `leaves` are of the parameters."""
        key = (kind, rows.start or 0, rows.stop, "gradient")
        if (found := self._views.get(key)) is None:
            found = self.tensors(kind, self.gradient[rows])
            self._keep(key, found)
        return found

    def _keep(self, key: tuple[str, int, int, str], views: dict[str, Tensor]) -> None:
        """Making views costs as much as small products; who stands where changes seldom."""
        if len(self._views) >= _MOST_VIEWS:
            self._views.clear()
        self._views[key] = views

    def buffers(self, kind: str, rows: slice | Tensor) -> dict[str, Tensor]:
        """The buffers of these rows; of a slice they are views, which training writes to."""
        return {name: buffer[rows] for name, buffer in self._kinds[kind].buffers.items()}

    def forward(
        self,
        kind: str,
        tensors: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        *inputs: Tensor,
        training: bool = True,
        twice: bool = False,
        places: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Every member's module on its own inputs.

        Args:
            kind: of these members.
            tensors: [members, *shape] by the module's names.
            buffers: likewise.
            inputs: [members, batch, ...] each.
            training: whether layers that tell training from evaluation are to train.
            twice: whether gradients of gradients will be taken; a slower way.
            places: where gradients by `tensors` may be written, see `places`: for one pass only.

        Returns:
            [members, batch, ...].
        """
        module, layers = self._kinds[kind].module, self._kinds[kind].dense
        if self.fused and layers is not None and not twice:
            return run_dense(layers, tensors, *inputs, places=places, factors=self.factors)
        if module.training is not training:
            module.train(training)

        def one(own: dict[str, Tensor], x: tuple[Tensor, ...]) -> Tensor:
            return functional_call(module, own, x)

        everything = {**tensors, **buffers}
        if self.fused:
            return vmap(one, randomness="error")(everything, inputs)
        rows = [dict(zip(everything, row, strict=True)) for row in _rows(everything.values())]
        return torch.stack([one(own, x) for own, x in zip(rows, _rows(inputs), strict=True)])

    def admit(self, kind: str, row: int, module: nn.Module) -> None:
        """Writes a fresh member's initial values, zero-padded, and clears its moments."""
        for flat in (self.parameters, self.gradient, self.moment1, self.moment2, self.average):
            flat[row].zero_()
        for flat in (self.parameters, self.average):
            places = self.tensors(kind, flat[row : row + 1])
            for name, tensor in module.named_parameters():
                places[name][0][corner(tensor.shape)].copy_(tensor.detach())
        for name, buffer in module.named_buffers():
            self._kinds[kind].buffers[name][row].copy_(buffer)

    def export(
        self, kind: str, row: int, shapes: Mapping[str, Sequence[int]], *, average: bool = False
    ) -> dict[str, Tensor]:
        """A copy of one member's parameters and buffers on the CPU, cut back to its own shapes."""
        flat = self.average if average else self.parameters
        places = self.tensors(kind, flat[row : row + 1])
        own = {name: places[name][0][corner(shape)] for name, shape in shapes.items()}
        kept = {name: buffer[row] for name, buffer in self._kinds[kind].buffers.items()}
        return {name: tensor.cpu().clone() for name, tensor in (own | kept).items()}

    def state(self) -> dict[str, Tensor]:
        """All that a member's row is, by name: [slots, ...] each, to move, save and load."""
        flats = {name: getattr(self, name) for name in ("parameters", "moment1", "moment2")}
        return flats | {"average": self.average} | self.all_buffers()

    def all_buffers(self) -> dict[str, Tensor]:
        """Of every kind, by kind and name: [slots, *shape]."""
        return {
            f"{kind}.{name}": buffer
            for kind, of_kind in self._kinds.items()
            for name, buffer in of_kind.buffers.items()
        }

    def rearrange(self, order: Sequence[int]) -> None:
        """Moves row order[i] to row i, for every i; rows beyond are left as they are."""
        index = torch.tensor(order, dtype=torch.int64, device=self._device)
        for tensor in self.state().values():
            tensor[: len(order)] = tensor[index]
        # It may hold NaN of who has left, which the norms of who stands there now would see.
        self.gradient.zero_()

    def collect(self, kind: str, rows: slice, gradients: Sequence[Tensor]) -> None:
        """Lays gradients of these rows' tensors out flat, in `gradient`.

        Args:
            kind: of these members.
            rows: theirs.
            gradients: [members, *shape] each, in the order of `tensors`.
        """
        for place, gradient in self._gradients(kind, rows, gradients):
            if gradient.data_ptr() != place.data_ptr():  # the backward pass wrote it there
                place.copy_(gradient)

    def accumulate(self, kind: str, rows: slice, gradients: Sequence[Tensor]) -> None:
        """Adds gradients, given as to `collect`, to what it laid out."""
        for place, gradient in self._gradients(kind, rows, gradients):
            place.add_(gradient)

    def _gradients(
        self, kind: str, rows: slice, gradients: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.places(kind, rows).values(), gradients, strict=True))


def corner(shape: Sequence[int]) -> tuple[slice, ...]:
    """Where a plain tensor stands in its padded one."""
    return tuple(slice(size) for size in shape)


def _rows(tensors: Iterable[Tensor]) -> list[tuple[Tensor, ...]]:
    """What each member has: `unbind`, because its backward pass is one `stack`."""
    return list(zip(*(t.unbind(0) for t in tensors), strict=True))
