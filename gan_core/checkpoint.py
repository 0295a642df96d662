"""A whole cohort in one safetensors file: what is resumed equals what was never stopped.

Random streams are functions of seed and step, so parameters, Adam's moments and each member's
own numbers are all there is to keep.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig
from gan_core.stack import corner

__all__ = ["load", "save"]


def save(cohort: Cohort, path: Path) -> None:
    """Writes the cohort atomically: under a name that begins with a dot, then renamed.

    Args:
        cohort: between two intervals.
        path: of the file; its directory exists.
    """
    metadata = {
        "cohort": json.dumps(dataclasses.asdict(cohort.config)),
        "members": json.dumps([member.config.to_dict() for member in cohort.members]),
        "sample_shape": json.dumps(cohort.sample_shape),
        "slots": json.dumps(cohort.slots),
        "classes": json.dumps(cohort.classes),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    tensors = {name: tensor.cpu().contiguous() for name, tensor in _tensors(cohort).items()}
    try:
        save_file(tensors, temporary, metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path, *, device: str = "cpu") -> Cohort:
    """The cohort as it was saved; on the same device and versions it goes on bit for bit.

    Args:
        path: of a file that `save` wrote. Nothing in it is executed.
        device: where the cohort is to live.

    Raises:
        FileNotFoundError: no such file.
    """
    with safe_open(path, framework="pt") as file:
        metadata = {name: json.loads(text) for name, text in file.metadata().items()}
        saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no mapping
    config = CohortConfig(**metadata["cohort"])
    sizes = {name: metadata[name] for name in ("slots", "classes")}
    cohort = Cohort(config, metadata["sample_shape"], device=device, **sizes)
    # They were saved in the order of their slots, which admission keeps.
    cohort.admit([GanConfig(**member) for member in metadata["members"]])
    for name, tensor in _tensors(cohort).items():
        # Rows were longer if a member with a greater module had been there and left.
        tensor.copy_(saved[name][corner(tensor.shape)])
    return cohort


def _tensors(cohort: Cohort) -> dict[str, Tensor]:
    """Views of all that the members have."""
    everything = {
        f"{player}.{name}": tensor
        for player, stack in (("G", cohort.G), ("D", cohort.D))
        for name, tensor in stack.state().items()
    } | {f"values.{name}": value for name, value in cohort.values.items()}
    return {name: tensor[: len(cohort.members)] for name, tensor in everything.items()}
