"""How a sweep uses a cluster: workers, what each claims, how large its cohort may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gan_core.config import ConfigError
from sweeps.config import SweepConfig
from sweeps.machine import Machine, this_machine
from sweeps.nodes import Node, workers_on
from sweeps.plan import Plan, at_a_time, plan

__all__ = ["ClusterPlan", "cluster_plan", "gpu_share", "slots_here", "trainers"]


@dataclass(frozen=True, kw_only=True)
class ClusterPlan(Plan):
    """Its `slots` are the most of any worker: each has what its device holds, `slots_here`."""

    gpu_share: float = 0.0
    """Of a device, for each of the first `workers` - `cpu_workers`; 0 on the CPU."""
    cpu_workers: int = 0
    """The last so many workers train on cores beside the others' GPUs."""


def trainers(config: SweepConfig, nodes: Sequence[Node]) -> list[Node]:
    """The nodes that the sweep may use.

    Those without a GPU only where no node has one, unless `resources.cpu_nodes` says otherwise.
    """
    if _device(config, nodes) == "cpu":
        return list(nodes)
    return [node for node in nodes if node.gpus or config.resources.cpu_nodes]


def cluster_plan(config: SweepConfig, nodes: Sequence[Node]) -> ClusterPlan:
    """Plans a sweep on the nodes that there are now.

    A number of workers may be more than fit: the rest is the demand that an autoscaler sees, and
    they begin as nodes come.

    Args:
        config: of the sweep.
        nodes: `trainers`, surveyed.

    Raises:
        ConfigError: there is no node or device of the kind that is asked for, more workers than
            may be in flight, or no memory for a worker with one trial.
    """
    device = _device(config, nodes)
    share = config.resources.gpus_per_worker if device == "cuda" else 0.0
    wide = [node for node in nodes if node.gpus] if share else list(nodes)
    fitting = {node.id: workers_on(node, gpu_share=share) for node in wide}
    beside = sum(node.cpus for node in nodes if not node.gpus) if share else 0
    workers, in_flight = _workers(config, sum(fitting.values()) + beside)
    in_flight = at_a_time(config, device, workers, in_flight)
    rooms = [
        _room(config, _part(node.machine, share), device, in_flight)
        for node in wide
        if node.machine is not None
        for _ in range(fitting[node.id])
    ]
    trials = _trials(config, rooms[:workers], workers, in_flight)
    is_auto = config.resources.workers == "auto"
    return ClusterPlan(
        workers=workers,
        slots=trials * config.train.seeds,
        device=device,
        gpus=sum(int(node.gpus) for node in wide) if share else 0,
        max_in_flight=min(in_flight, workers * trials),
        estimated_bytes_per_worker=None,
        gpu_share=share,
        cpu_workers=max(0, workers - len(rooms)) if is_auto and beside else 0,
    )


def gpu_share(planned: Plan, worker: int) -> float:
    """Of a device, for a worker by its number; 0 for one on the CPU."""
    if isinstance(planned, ClusterPlan):
        return planned.gpu_share if worker < planned.workers - planned.cpu_workers else 0.0
    # Whole workers must fit on each device: three on two devices are two on one of them.
    return 1 / math.ceil(planned.workers / planned.gpus) if planned.gpus else 0.0


def slots_here(config: SweepConfig, planned: Plan, worker: int) -> int:
    """Members for a worker: on a cluster no more than its own device has memory for.

    Args:
        config: of the sweep.
        planned: of the sweep.
        worker: its number; it is the process that calls this.

    Raises:
        ConfigError: there is no room for one trial.
    """
    if not isinstance(planned, ClusterPlan) or config.resources.slots != "auto":
        return planned.slots
    share, seeds = gpu_share(planned, worker), config.train.seeds
    device = "cuda" if share else "cpu"
    machine = _part(this_machine(device), share)
    return _room(config, machine, device, planned.slots // seeds) * seeds


def _device(config: SweepConfig, nodes: Sequence[Node]) -> str:
    asked = config.resources.device
    if asked != "auto":
        return asked
    return "cuda" if any(node.gpus for node in nodes) else "cpu"


def _workers(config: SweepConfig, fitting: int) -> tuple[int, int]:
    """Workers, and trials in flight: what the sampler bears, and one for each worker asked for."""
    settings, asked = config.settings(), config.resources.workers
    in_flight = min(settings.in_flight, settings.trials)
    if asked == "auto":
        if not fitting:
            right = (
                f"the cluster has no {'GPU' if config.resources.device == 'cuda' else 'core'} for "
                "a worker now: must be a number, for which it may grow"
            )
            raise ConfigError("resources.workers", asked, right)
        return min(fitting, in_flight), in_flight
    workers = min(asked, settings.trials)
    if config.search.max_in_flight != "auto" and in_flight < workers:
        right = f"must be >= resources.workers = {workers}, so that each has a trial"
        raise ConfigError("search.max_in_flight", in_flight, right)
    return workers, max(in_flight, workers)


def _part(machine: Machine, share: float) -> Machine:
    """What one worker has of a machine."""
    return Machine(
        cores=1,
        memory_bytes=machine.memory_bytes // machine.cores,
        cuda_devices=1 if share else 0,
        cuda_bytes=int(machine.cuda_bytes * share),
    )


def _room(config: SweepConfig, machine: Machine, device: str, trials: int) -> int:
    """Trials at a time of a lone worker with this machine, at most `trials`."""
    resources = config.resources.model_copy(update={"workers": 1, "device": device})
    search = config.search.model_copy(update={"max_in_flight": trials})
    alone = config.model_copy(update={"resources": resources, "search": search})
    return plan(alone, machine).slots // config.train.seeds


def _trials(config: SweepConfig, rooms: Sequence[int], workers: int, in_flight: int) -> int:
    """The least number of trials to a worker by which all in flight have room.

    Where some devices hold fewer, others take more. A worker that waits for a node is taken to
    have all the room; it sees for itself when it begins.
    """
    if config.resources.slots != "auto":
        return config.resources.slots // config.train.seeds
    all_rooms = [*rooms, *[in_flight] * (workers - len(rooms))]
    most = max(all_rooms)
    levels = (n for n in range(1, most) if sum(min(room, n) for room in all_rooms) >= in_flight)
    return next(levels, most)
