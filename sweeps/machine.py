"""What this process may use of its machine: cores, memory and devices."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "cores_allowed", "memory_allowed", "this_machine"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_NVIDIA = "libcuda.so.1"
_DEVICES = (Path("/dev/kfd"), Path("/dev/dxg"))  # AMD's, and Windows' for its Linux


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is to plan with."""

    cores: int
    memory_bytes: int
    """Of the host, for all workers."""
    cuda_devices: int = 0
    cuda_bytes: int = 0
    """Of the smallest CUDA device, for its one worker."""


def this_machine(device: str = "auto") -> Machine:
    """What this process may use. Imports torch, unless only a CPU is asked for or to be had."""
    cuda_devices = cuda_bytes = 0
    if device != "cpu" and (device != "auto" or _may_have_cuda()):
        import torch

        cuda_devices = torch.cuda.device_count()
        sizes = (torch.cuda.get_device_properties(i).total_memory for i in range(cuda_devices))
        cuda_bytes = min(sizes, default=0)
    return Machine(
        cores=cores_allowed(_cores()),
        memory_bytes=memory_allowed(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        cuda_devices=cuda_devices,
        cuda_bytes=cuda_bytes,
    )


def _may_have_cuda() -> bool:
    """Whether a driver for torch's CUDA devices is there, NVIDIA's or AMD's.

    To ask torch takes seconds, for its import.
    """
    if not sys.platform.startswith("linux") or any(place.exists() for place in _DEVICES):
        return True
    try:
        ctypes.CDLL(_NVIDIA)
    except OSError:
        return False
    return True


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores_allowed(cores: int, groups: Path = _GROUPS, own_group: Path = _OWN_GROUP) -> int:
    """Whole cores that a container's quota leaves, at least one.

    A share of a core that is left over goes to the processes beside the workers.

    Args:
        cores: of the machine.
        groups: where control groups (version 2) are mounted.
        own_group: the file that names the process's own.
    """
    for text in _limits("cpu.max", groups, own_group):
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def memory_allowed(total: int, groups: Path = _GROUPS, own_group: Path = _OWN_GROUP) -> int:
    """Bytes that a container's limit leaves of the machine's; arguments as `cores_allowed`."""
    texts = _limits("memory.max", groups, own_group)
    return min([total, *(int(text) for text in texts if text.isdigit())])


def _limits(name: str, groups: Path, own_group: Path) -> Iterator[str]:
    """A limit's text in the process's own control group and in all above it."""
    try:
        lines = own_group.read_text().splitlines()
    except OSError:
        lines = []
    # Inside of a container the group is named from its own root, or from the host's, where it
    # is not to be seen: then the root is the container's.
    own = next((line[3:] for line in lines if line.startswith("0::/")), "/")
    group = groups / own.strip("/")
    for folder in (group, *group.parents):
        if folder.is_relative_to(groups):
            try:
                yield (folder / name).read_text().strip()
            except OSError:
                continue
