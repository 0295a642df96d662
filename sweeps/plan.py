"""How a sweep uses a machine: workers, slots, trials in flight."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from gan_core.config import Architecture, ConfigError, Precision
from gan_core.datasets import sample_shape
from sweeps.config import SweepConfig
from sweeps.space import Space

__all__ = ["Machine", "Plan", "estimate_member_bytes", "plan", "this_machine"]

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
class Machine:
    """What there is to plan with."""

    cores: int
    memory_bytes: int
    """Of the host, for all workers."""
    cuda_devices: int = 0
    cuda_bytes: int = 0
    """Of the smallest CUDA device, for its one worker."""


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
    TPE), but never so little that a worker asked for stands idle. There is a worker for each
    CUDA device, else for each core, as far as there are trials in flight. Slots hold what is in
    flight, as far as memory goes.

    Raises:
        ConfigError: CUDA is asked for and there is none, or more workers than may be in flight.
    """
    device = _device(config, machine)
    settings, resources = config.settings(), config.resources
    in_flight = min(settings.in_flight, settings.trials)
    if resources.workers == "auto":
        workers = min(machine.cuda_devices if device == "cuda" else machine.cores, in_flight)
    else:
        workers = min(resources.workers, settings.trials)
        if config.search.max_in_flight != "auto" and in_flight < workers:
            right = f"must be >= resources.workers = {workers}, so that each has a trial"
            raise ConfigError("search.max_in_flight", in_flight, right)
        in_flight = max(in_flight, workers)
    member = estimate_member_bytes(config)
    slots = _slots(
        config, math.ceil(in_flight / workers), member, _budget(machine, device, workers)
    )
    return Plan(
        workers=workers,
        slots=slots,
        device=device,
        gpus=machine.cuda_devices if device == "cuda" else 0,
        max_in_flight=min(in_flight, workers * (slots // settings.seeds)),
        estimated_bytes_per_worker=None if member is None else _WORKER_BYTES + slots * member,
    )


def _device(config: SweepConfig, machine: Machine) -> str:
    asked = config.resources.device
    if asked == "cuda" and machine.cuda_devices == 0:
        right = 'torch sees no CUDA device here: must be "cpu" or "auto"'
        raise ConfigError("resources.device", asked, right)
    if asked == "auto":
        return "cuda" if machine.cuda_devices else "cpu"
    return asked


def _budget(machine: Machine, device: str, workers: int) -> float:
    """Bytes that the members of one worker may take."""
    if device == "cuda":
        available = machine.cuda_bytes / math.ceil(workers / machine.cuda_devices)
    else:
        available = machine.memory_bytes / workers
    return _USABLE * available - _WORKER_BYTES


def _slots(config: SweepConfig, trials: int, member: int | None, budget: float) -> int:
    seeds, asked = config.train.seeds, config.resources.slots
    if asked != "auto":
        return asked // seeds * seeds
    if member is not None:
        trials = min(trials, max(1, int(budget // (member * seeds))))
    return trials * seeds


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


def this_machine(device: str = "auto") -> Machine:
    """What this process may use. Imports torch, unless only the CPU is asked for."""
    cuda_devices = cuda_bytes = 0
    if device != "cpu":
        import torch

        cuda_devices = torch.cuda.device_count()
        sizes = (torch.cuda.get_device_properties(i).total_memory for i in range(cuda_devices))
        cuda_bytes = min(sizes, default=0)
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _all_cores(),
        memory_bytes=_memory_bytes(),
        cuda_devices=cuda_devices,
        cuda_bytes=cuda_bytes,
    )


def _all_cores() -> int:
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    """Of the machine, or of the container (cgroup v2) if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return min(total, int(text)) if text.isdigit() else total
