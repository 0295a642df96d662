"""The discriminators of a run of members as one function, with leaves to differentiate by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from gan_core.config import Normalisation
from gan_core.stack import Stack

__all__ = ["Critic"]


class Critic:
    """D of contiguous members, whose modules may differ in their normalisation.

    Args:
        stack: the discriminators.
        runs: (normalisation, rows of the stack), contiguous and in order.
        labels: int64 [rows of the stack, batch] of conditional networks, else None.
        requires_grad: whether to differentiate by the parameters.
        twice: whether gradients of gradients will be taken.
    """

    def __init__(
        self,
        stack: Stack,
        runs: Sequence[tuple[Normalisation, slice]],
        labels: Tensor | None,
        *,
        requires_grad: bool = True,
        twice: bool = False,
    ) -> None:
        self._stack, self._labels, self._twice = stack, labels, twice
        self._runs = [
            (norm, rows, stack.leaves(norm.value, rows, requires_grad=requires_grad, fresh=twice))
            for norm, rows in runs
        ]
        self._start = runs[0][1].start
        # A second pass would write over the gradients of the first.
        self._unused = [requires_grad] * len(runs)

    @property
    def leaves(self) -> list[Tensor]:
        """All parameters, in the order in which `collect` takes their gradients."""
        return [leaf for _, _, leaves in self._runs for leaf in leaves.values()]

    def __call__(self, x: Tensor) -> Tensor:
        """Logits [members, batch] of samples [members, batch, *shape].

        For k times as many samples as there are labels, the labels are repeated k times.
        """
        return _joined([self._judge(run, x) for run in range(len(self._runs))])

    def judge_both(self, *, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits on both, in one pass unless D has batch statistics.

        Args:
            real: [members, batch, *shape].
            fake: the same shape.

        Returns:
            [members, batch] on real, and on fake.
        """
        both = [
            torch.cat((self._judge(run, real), self._judge(run, fake)), dim=1)
            if norm is Normalisation.BATCH
            else self._judge(run, real, fake)
            for run, (norm, _, _) in enumerate(self._runs)
        ]
        real_logits, fake_logits = _joined(both).split(real.shape[1], dim=1)
        return real_logits, fake_logits

    def collect(self, gradients: Iterator[Tensor]) -> None:
        """Takes the gradients by `leaves` into the stack."""
        for norm, rows, leaves in self._runs:
            self._stack.collect(norm.value, rows, list(islice(gradients, len(leaves))))

    def accumulate(self, gradients: Iterator[Tensor]) -> None:
        """Adds the gradients by `leaves` to those that the stack has."""
        for norm, rows, leaves in self._runs:
            self._stack.accumulate(norm.value, rows, list(islice(gradients, len(leaves))))

    def _judge(self, run: int, *samples: Tensor) -> Tensor:
        norm, rows, leaves = self._runs[run]
        if len(self._runs) > 1:  # or the backward pass would copy what was not cut
            own = slice(rows.start - self._start, rows.stop - self._start)
            samples = tuple(s[own] for s in samples)
        x = samples[0] if len(samples) == 1 else torch.cat(samples, dim=1)
        inputs = [x]
        if self._labels is not None:
            labels = self._labels[rows]
            inputs.append(labels.repeat(1, x.shape[1] // labels.shape[1]))
        buffers = self._stack.buffers(norm.value, rows)
        places = self._stack.places(norm.value, rows) if self._unused[run] else None
        self._unused[run] = False
        return self._stack.forward(
            norm.value, leaves, buffers, *inputs, twice=self._twice, places=places
        )


def _joined(logits: Sequence[Tensor]) -> Tensor:
    return logits[0] if len(logits) == 1 else torch.cat(list(logits))
