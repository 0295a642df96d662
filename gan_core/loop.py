"""The training loop: intervals between rungs, slots refilled at their boundaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from gan_core.allocation import keep_freed_memory
from gan_core.cohort import Cohort, Member
from gan_core.config import CohortConfig, ConfigError, GanConfig
from gan_core.data import Dataset
from gan_core.graphs import run_graphed
from gan_core.signals import SignalStatistics
from gan_core.step import step

__all__ = ["IntervalRecord", "run_interval", "train"]


@dataclass(frozen=True, eq=False)
class IntervalRecord:
    """What one member did in one interval."""

    member: Member
    step: int
    """G updates made since it was admitted."""
    diverged_step: int | None
    """The step at which a loss or gradient turned non-finite (its update was not made), from 1."""
    statistics: dict[str, float]
    """See `gan_core.signals.SignalStatistics.read`."""


def run_interval(cohort: Cohort, dataset: Dataset, steps: int) -> list[IntervalRecord]:
    """Trains all members by this many steps; the host reads the device only at the end.

    Args:
        cohort: changed in place.
        dataset: on the cohort's device.
        steps: G updates, >= 1.

    Returns:
        A record for each member, in the order of the slots.
    """
    if not cohort.members:
        return []
    if cohort.device.type == "cpu":
        keep_freed_memory()
    statistics = SignalStatistics(len(cohort.members), cohort.device)
    if cohort.device.type == "cuda":
        run_graphed(cohort, dataset, statistics, steps)
    else:
        for _ in range(steps):
            step(cohort, dataset, statistics)
    members = len(cohort.members)
    made = cohort.values["step"][:members].tolist()
    alive = cohort.values["alive"][:members].tolist()
    return [
        IntervalRecord(member, count, None if sound else count + 1, values)
        for member, count, sound, values in zip(
            cohort.members, made, alive, statistics.read(), strict=True
        )
    ]


def train(
    configs: Iterable[GanConfig],
    dataset: Dataset,
    *,
    steps: int,
    eval_every: int,
    slots: int = 16,
    cohort: CohortConfig | None = None,
) -> Iterator[tuple[Cohort, list[IntervalRecord]]]:
    """Trains any number of GANs on one device, `slots` at a time.

    A GAN that is done or has diverged leaves its slot to the next at the boundary of an interval.
    Between two records the caller may use the cohort: `generate` samples, `export` a member, or
    `evict` one, whose slot is then refilled.

    Args:
        configs: one for each GAN; an iterator is read as slots fall free.
        dataset: where it lives, the cohort lives.
        steps: G updates for each GAN, a multiple of eval_every.
        eval_every: steps of an interval.
        slots: GANs at a time.
        cohort: what they share; by default an MLP cohort with the longest latent dimension of
            `configs` (which is then read at once).

    Yields:
        After each interval the cohort and its members' records; those that are done or diverged
        are still in it.

    Raises:
        ConfigError: steps is not a positive multiple of eval_every; no slots; a value that the
            cohort refuses.
    """
    if eval_every < 1 or steps < 1 or steps % eval_every:
        raise ConfigError(
            "steps", steps, f"must be a positive multiple of eval_every ({eval_every})"
        )
    if cohort is None:
        configs = list(configs)
        longest = max((c.latent_dim for c in configs), default=1)
        cohort = CohortConfig(latent_dim=longest, schedule_steps=steps)
    if slots < 1:
        raise ConfigError("slots", slots, "must be >= 1")
    waiting = iter(configs)
    device = str(dataset.device)
    classes = len(dataset.classes)
    stacked = Cohort(cohort, dataset.sample_shape, slots=slots, device=device, classes=classes)
    while True:
        stacked.admit(list(islice(waiting, slots - len(stacked.members))))
        if not stacked.members:
            return
        records = run_interval(stacked, dataset, eval_every)
        yield stacked, records
        ended = [r.member for r in records if r.step >= steps or r.diverged_step is not None]
        stacked.evict([member for member in ended if member in stacked.members])
