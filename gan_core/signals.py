"""What is observed at every training step, and its statistics over an interval.

Everything is added up on the device: the host reads once, at the end of the interval.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["GRADIENT_SIGNALS", "SIGNALS", "STATISTICS", "SignalStatistics"]

SIGNALS = (
    "d_loss",
    "g_loss",
    "penalty",
    "real_logit",
    "fake_logit",
    "real_prob",
    "fake_prob",
    "real_accuracy",
    "fake_accuracy",
    "grad_norm_d",
    "grad_norm_g",
)
"""Means over the batch; D's are of its last update of the step. NaN where a loss has no such
thing: `penalty` without one, probabilities of losses that are no cross-entropy, accuracies of a
critic."""

STATISTICS = ("mean", "std", "min", "max")
GRADIENT_SIGNALS = ("grad_norm_d", "grad_norm_g")
_FIRST_GRADIENT = SIGNALS.index(GRADIENT_SIGNALS[0])  # they are the last, in this order
_TOGETHER = 64  # steps
_LARGE_GRADIENT = 100  # "if they are over 100 things are screwing up": Chintala et al., ganhacks


class SignalStatistics:
    """Mean, standard deviation, minimum and maximum of every signal for each member."""

    def __init__(self, members: int, device: torch.device) -> None:
        columns = len(SIGNALS)
        self._count = torch.zeros(members, 1, dtype=torch.float64, device=device)
        self._nonfinite = torch.zeros_like(self._count)
        self._total = torch.zeros(members, columns, dtype=torch.float64, device=device)
        self._squares = torch.zeros_like(self._total)
        self._least = torch.full_like(self._total, math.inf)
        self._greatest = torch.full_like(self._total, -math.inf)
        self._large = torch.zeros(
            members, len(GRADIENT_SIGNALS), dtype=torch.float64, device=device
        )
        # Steps are looked at together: for one the operations cost more than the arithmetic.
        self._waiting = 0
        self._values = torch.zeros(
            _TOGETHER, *self._total.shape, dtype=torch.float64, device=device
        )
        self._flags = torch.zeros(_TOGETHER, 2, members, dtype=torch.bool, device=device)

    def add(self, values: Tensor, *, sound: Tensor, nonfinite: Tensor) -> None:
        """Takes one step in.

        Args:
            values: [members, signals]; a row that is not sound is left out.
            sound: bool [members], whether the member made the step.
            nonfinite: bool [members], whether it turned non-finite at this step.
        """
        self._values[self._waiting].copy_(values)
        torch.stack((sound, nonfinite), out=self._flags[self._waiting])
        self._waiting += 1
        if self._waiting == _TOGETHER:
            self._look()

    def _look(self) -> None:
        """Adds the steps that wait, one after the other, as if they had not waited."""
        values = self._values[: self._waiting]
        counted, nonfinite = self._flags[: self._waiting].unbind(1)
        self._waiting = 0
        counted = counted[..., None]
        kept = torch.where(counted, values, 0)
        self._count += counted.sum(0)
        self._nonfinite += nonfinite.sum(0)[:, None]
        for total, added in ((self._total, kept), (self._squares, kept.square())):
            total.copy_(torch.cumsum(torch.cat((total[None], added)), dim=0)[-1])
        lowest = torch.where(counted, values, math.inf).amin(0)
        greatest = torch.where(counted, values, -math.inf).amax(0)
        torch.minimum(self._least, lowest, out=self._least)
        torch.maximum(self._greatest, greatest, out=self._greatest)
        self._large += (counted & (values[..., _FIRST_GRADIENT:] > _LARGE_GRADIENT)).sum(0)

    def read(self) -> list[dict[str, float]]:
        """The statistics for each member, by column name of a history row.

        Returns:
            For each member `interval_steps`, `nonfinite_steps`, `<signal>_<statistic>` and
            `<gradient signal>_above_100_share`. NaN where the signal does not exist or no step
            was made. The standard deviation is that of the population.
        """
        if self._waiting:
            self._look()
        mean = self._total / self._count
        std = (self._squares / self._count - mean.square()).clamp_(min=0).sqrt_()
        unseen = self._count == 0
        least = self._least.masked_fill(unseen, math.nan)
        greatest = self._greatest.masked_fill(unseen, math.nan)
        by_signal = torch.stack((mean, std, least, greatest), dim=2).flatten(1)
        table = torch.cat(
            (self._count, self._nonfinite, by_signal, self._large / self._count), dim=1
        )
        return [dict(zip(_NAMES, row, strict=True)) for row in table.tolist()]


_NAMES = (
    "interval_steps",
    "nonfinite_steps",
    *(f"{signal}_{statistic}" for signal in SIGNALS for statistic in STATISTICS),
    *(f"{signal}_above_{_LARGE_GRADIENT}_share" for signal in GRADIENT_SIGNALS),
)
