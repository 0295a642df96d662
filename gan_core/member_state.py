"""Single members taken out of a cohort in mid-training, to go on in any other cohort.

`gan_core.checkpoint` keeps a whole cohort; this keeps whom its owner names, so that a slot of
another worker can take them up. Random streams are functions of seed and step, so parameters,
Adam's moments, buffers and a member's own numbers are all there is to keep. In a cohort of the same
config a member goes on as if it had never moved: bitwise where moving between slots is (see
`gan_core.cohort.Cohort`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from safetensors import SafetensorError, deserialize
from safetensors.torch import load, save
from torch import Tensor

from gan_core.cohort import Cohort, Member
from gan_core.config import CohortConfig, ConfigError, GanConfig
from gan_core.stack import Stack, corner

__all__ = ["admit_members", "member_note", "members_bytes"]


def members_bytes(cohort: Cohort, members: Sequence[Member], *, note: str = "") -> bytes:
    """All that these members are, as one safetensors file.

    Args:
        cohort: where they stand, between two intervals.
        members: whom to keep; they stay where they are.
        note: any text to keep beside them, such as what their owner knows of them.

    Raises:
        ValueError: one of them has no slot here.
    """
    metadata = {
        "cohort": json.dumps(dataclasses.asdict(cohort.config)),
        "members": json.dumps([member.config.to_dict() for member in members]),
        "note": note,
    }
    tensors = {
        f"{i}.{name}": tensor.cpu().clone()
        for i, member in enumerate(members)
        for name, tensor in _tensors(cohort, member).items()
    }
    return save(tensors, metadata)


def member_note(data: bytes) -> str:
    """The text that was kept beside the members.

    Raises:
        ValueError: not what `members_bytes` wrote, or cut short.
    """
    return _metadata(data)["note"]


def admit_members(cohort: Cohort, data: bytes) -> list[Member]:
    """Puts members that were kept into free slots of a cohort.

    Args:
        cohort: of the same config, between two intervals.
        data: what `members_bytes` returned. Nothing in it is executed.

    Returns:
        Their handles, in the order in which they were kept.

    Raises:
        ConfigError: they were kept from a cohort of another config.
        ValueError: not what `members_bytes` wrote, or cut short; or too few slots are free.
    """
    metadata = _metadata(data)
    config = CohortConfig(**json.loads(metadata["cohort"]))
    if config != cohort.config:
        raise ConfigError("cohort", config, f"must be {cohort.config}, as the cohort has it")
    saved = load(data)
    members = cohort.admit([GanConfig(**member) for member in json.loads(metadata["members"])])
    for i, member in enumerate(members):
        for name, tensor in _tensors(cohort, member).items():
            source = saved[f"{i}.{name}"]
            # A row is as long as the longest kind of D that its cohort has seen.
            shared = tuple(map(min, tensor.shape, source.shape))
            tensor[corner(shared)].copy_(source[corner(shared)])
    return members


def _metadata(data: bytes) -> dict[str, str]:
    try:
        deserialize(data)  # checks every length; the header alone would pass if cut short
    except SafetensorError as error:
        raise ValueError(f"these are no members that were kept: {error}") from None
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata: dict[str, str] = header.get("__metadata__", {})
    if not {"cohort", "members", "note"} <= metadata.keys():
        raise ValueError("these are no members that were kept: a safetensors file of other things")
    return metadata


def _tensors(cohort: Cohort, member: Member) -> dict[str, Tensor]:
    """Views of all that one member has."""
    slot = cohort.slot(member)
    values = {f"values.{name}": value[slot : slot + 1] for name, value in cohort.values.items()}
    return {
        **_rows("G", cohort.G, slot, ""),
        **_rows("D", cohort.D, slot, member.config.d_norm.value),
        **values,
    }


def _rows(player: str, stack: Stack, slot: int, kind: str) -> dict[str, Tensor]:
    """One player's rows in the slot; of the buffers those of the member's own kind."""
    others = {name for name in stack.all_buffers() if not name.startswith(f"{kind}.")}
    return {
        f"{player}.{name}": tensor[slot]
        for name, tensor in stack.state().items()
        if name not in others
    }
