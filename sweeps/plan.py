"""How a sweep uses a machine: workers, slots, trials in flight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from gan_core.config import Architecture, ConfigError, Precision
from gan_core.datasets import sample_shape
from sweeps.config import SweepConfig
from sweeps.machine import Machine
from sweeps.space import Space

__all__ = ["MOST_ON_CPU", "Plan", "at_a_time", "estimate_member_bytes", "plan"]

MOST_ON_CPU = 32
"""Members of a worker on a CPU; more train hardly faster in all (docs/performance.md), but come to
their rungs later, and the sampler learns of fewer ends."""

_USABLE = 0.8
"""Share of the memory that is planned with; the estimate below is one."""

_WORKER_BYTES = 700 * 2**20
"""Taken before the first member: on the host by Python, ray and torch, as measured; on a device
about as much by CUDA and its libraries."""

_PER_PARAMETER = 5
"""Value, gradient, Adam's two moments and the update being computed."""

_PER_ACTIVATION = 6
"""Made by G once and by D for real and for fake; each is kept and gets a gradient."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many of what."""

    workers: int
    slots: int
    """Members per worker, in whole trials."""
    device: str
    """"cpu" or "cuda"."""
    gpus: int
    """Devices that the workers share; 0 on the CPU."""
    max_in_flight: int
    """Trials begun and not ended, over all workers."""
    threads_per_worker: int = 1
    """Of torch. More do not help matrices this small, and the results would depend on them."""
    estimated_bytes_per_worker: int | None
    """Memory of one full worker; None where the architecture is the user's own."""


def plan(config: SweepConfig, machine: Machine) -> Plan:
    """Plans a sweep; what the config leaves at "auto" is decided here.

    In flight is what the sampler bears (`StudySettings.in_flight`: a quarter of the trials under
    TPE), on CPUs no more than `MOST_ON_CPU` members to a worker, but never so little that a worker
    asked for stands idle. There is a worker for each CUDA device, else for each core, as far as
    there are trials in flight and memory for a trial in each. Slots hold what is in flight, as far
    as memory goes.

    Raises:
        ConfigError: CUDA is asked for and there is none, more workers than may be in flight, or
            no memory for a worker with one trial.
    """
    device = _device(config, machine)
    settings = config.settings()
    in_flight = min(settings.in_flight, settings.trials)
    member = estimate_member_bytes(config)
    if config.resources.workers == "auto":
        workers = _auto_workers(config, machine, device, in_flight, member)
    else:
        workers = min(config.resources.workers, settings.trials)
        if config.search.max_in_flight != "auto" and in_flight < workers:
            right = f"must be >= resources.workers = {workers}, so that each has a trial"
            raise ConfigError("search.max_in_flight", in_flight, right)
        in_flight = max(in_flight, workers)
    in_flight = at_a_time(config, device, workers, in_flight)
    slots = _slots(config, machine, device, workers, math.ceil(in_flight / workers), member)
    return Plan(
        workers=workers,
        slots=slots,
        device=device,
        gpus=machine.cuda_devices if device == "cuda" else 0,
        max_in_flight=min(in_flight, workers * (slots // settings.seeds)),
        estimated_bytes_per_worker=None if member is None else _WORKER_BYTES + slots * member,
    )


def at_a_time(config: SweepConfig, device: str, workers: int, in_flight: int) -> int:
    """Of so many trials in flight those that speed the workers up; what is asked for stands."""
    asked = {config.search.max_in_flight, config.resources.slots} - {"auto"}
    if device != "cpu" or asked:
        return in_flight
    return min(in_flight, workers * max(1, MOST_ON_CPU // config.train.seeds))


def _device(config: SweepConfig, machine: Machine) -> str:
    asked = config.resources.device
    if asked == "cuda" and machine.cuda_devices == 0:
        right = 'torch sees no CUDA device here: must be "cpu" or "auto"'
        raise ConfigError("resources.device", asked, right)
    if asked == "auto":
        return "cuda" if machine.cuda_devices else "cpu"
    return asked


def _auto_workers(
    config: SweepConfig, machine: Machine, device: str, in_flight: int, member: int | None
) -> int:
    if device == "cuda":
        return min(machine.cuda_devices, in_flight)
    fitting = int(_USABLE * machine.memory_bytes // _one_trial_bytes(config, member))
    return max(1, min(machine.cores, in_flight, fitting))


def _one_trial_bytes(config: SweepConfig, member: int | None) -> int:
    """Memory of a worker with as few slots as it can have, or with those that are asked for."""
    asked, seeds = config.resources.slots, config.train.seeds
    members = seeds if asked == "auto" else asked // seeds * seeds
    return _WORKER_BYTES + members * (member or 0)


def _share(machine: Machine, device: str, workers: int) -> float:
    """Bytes that one worker may take."""
    if device == "cuda":
        return _USABLE * machine.cuda_bytes / math.ceil(workers / machine.cuda_devices)
    return _USABLE * machine.memory_bytes / workers


def _slots(
    config: SweepConfig,
    machine: Machine,
    device: str,
    workers: int,
    trials: int,
    member: int | None,
) -> int:
    """Places for `trials`, as far as memory goes; what is asked for is not held against it."""
    seeds, asked = config.train.seeds, config.resources.slots
    if asked != "auto":
        return asked // seeds * seeds
    share = _share(machine, device, workers)
    least = _one_trial_bytes(config, member)
    if share < least:
        raise _too_little(config, workers, share, least)
    if member is not None:
        trials = min(trials, int((share - _WORKER_BYTES) // (member * seeds)))
    return trials * seeds


def _too_little(config: SweepConfig, workers: int, share: float, least: int) -> ConfigError:
    here = (
        f"a worker with one trial ({config.train.seeds} members) takes about "
        f"{least / 2**30:.1f} GiB, and there are {share / 2**30:.1f} for each"
    )
    if workers > 1 and config.resources.workers != "auto":
        return ConfigError(
            "resources.workers", workers, f"{here}: must be less, or resources.slots given"
        )
    right = (
        f"{here}: must be a number to try it all the same, or train.batch_size or the like smaller"
    )
    return ConfigError("resources.slots", "auto", right)


def estimate_member_bytes(config: SweepConfig) -> int | None:
    """Memory of one member while it trains, estimated from the widths; None if unknown.

    parameters x 5 + activations of a batch x 6 + two copies of the judged images, each of the
    precision's size. Gradient penalties take more, library workspaces are not counted.
    """
    if config.model.architecture != Architecture.MLP:
        return None
    data = config.data
    pixels = math.prod(sample_shape(data.dataset, root=data.root, image_size=data.image_size))
    generator = (Space(config).latent_dims[1], *config.model.generator_widths, pixels)
    discriminator = (pixels, *config.model.discriminator_widths, 1)
    parameters = sum((i + 1) * o for net in (generator, discriminator) for i, o in pairwise(net))
    activations = config.train.batch_size * sum(generator + discriminator)
    images = 2 * config.train.eval_images * pixels
    numbers = _PER_PARAMETER * parameters + _PER_ACTIVATION * activations + images
    return numbers * (8 if config.train.precision is Precision.FLOAT64 else 4)
