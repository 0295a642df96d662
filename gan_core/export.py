"""One member on its own: its two plain networks' weights, and all that they are rebuilt from.

Nothing is pickled. A store keeps a member as one safetensors file (tensors `G.<name>` and
`D.<name>`, its `MemberConfig` in the metadata); a person gets a directory of `G.safetensors`,
`D.safetensors` and `config.json`, which plain PyTorch reads.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gan_core.config import CohortConfig, GanConfig, Precision
from gan_core.networks.catalog import build

if TYPE_CHECKING:
    from gan_core.cohort import Cohort, Member

__all__ = ["MemberConfig", "MemberFileError", "load_member", "member_bytes", "save_member"]

_FORMAT = 1  # one more whenever a reader of today could not read what is written
_KEY = "gansweep_member"
_CONFIG_NAME = "config.json"
_DTYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.FLOAT64: torch.float64,
    Precision.BFLOAT16: torch.float32,
}

State = Mapping[str, Tensor]
"""A plain module's state dict."""


class MemberFileError(ValueError):
    """A saved member cannot be read or written; the message is one line that names the path."""


@dataclass(frozen=True, kw_only=True)
class MemberConfig:
    """What one member is, apart from its weights."""

    gan: GanConfig
    cohort: CohortConfig
    """Of the cohort that it was trained in; its `latent_dim` is the longest there."""
    sample_shape: tuple[int, ...]
    """Of what G makes: (channels, height, width), or (dimensions,) of points."""
    classes: tuple[str, ...] = ()
    """Names of the dataset's classes, by label; conditional networks need them."""
    origin: Mapping[str, str | int | float | None] = field(default_factory=dict)
    """Where it comes from, as far as the caller wants that kept: sweep, trial, versions."""

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        member: Member,
        *,
        classes: tuple[str, ...] = (),
        origin: Mapping[str, str | int | float | None] | None = None,
    ) -> MemberConfig:
        """Of a member that stands in a cohort."""
        return cls(
            gan=member.config,
            cohort=cohort.config,
            sample_shape=cohort.sample_shape,
            classes=classes,
            origin=origin or {},
        )

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return _DTYPES[self.cohort.precision]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they are written."""
        return {
            "format": _FORMAT,
            "origin": dict(self.origin),
            "gan": self.gan.to_dict(),
            "cohort": dataclasses.asdict(self.cohort),
            "sample_shape": list(self.sample_shape),
            "classes": list(self.classes),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> MemberConfig:
        """What `to_dict` was called on.

        Raises:
            KeyError, TypeError, ValueError: it is none, or a newer gansweep's.
        """
        if plain["format"] > _FORMAT:
            raise ValueError(f"was written by a newer gansweep, in format {plain['format']}")
        return cls(
            gan=GanConfig(**plain["gan"]),
            cohort=CohortConfig(**plain["cohort"]),
            sample_shape=tuple(plain["sample_shape"]),
            classes=tuple(plain["classes"]),
            origin=plain["origin"],
        )

    def build(self) -> tuple[nn.Module, nn.Module]:
        """(G, D) of its shapes and number format; the weights are fresh."""
        G, D = build(
            self.cohort,
            latent_dim=self.gan.latent_dim,
            sample_shape=self.sample_shape,
            seed=self.gan.seed,
            d_norm=self.gan.d_norm,
            classes=len(self.classes),
        )
        return G.to(self.dtype), D.to(self.dtype)


def member_bytes(G_state: State, D_state: State, config: MemberConfig) -> bytes:
    """The content of one safetensors file that `load_member` reads, for a store of the caller's.

    Args:
        G_state: un-padded, as `gan_core.cohort.Cohort.export` gives it.
        D_state: likewise.
        config: of the same member.
    """
    states = {"G": G_state, "D": D_state}
    tensors = {
        f"{player}.{name}": tensor.cpu().contiguous()
        for player, state in states.items()
        for name, tensor in state.items()
    }
    return save(tensors, {_KEY: json.dumps(config.to_dict())})


def save_member(
    directory: Path | str, G_state: State, D_state: State, config: MemberConfig
) -> None:
    """Writes a directory that needs neither gansweep nor anything but safetensors to be used.

    It holds `G.safetensors` and `D.safetensors`, state dicts of the plain modules, and
    `config.json`: the hyperparameters, the shapes and the modules as PyTorch prints them. It
    appears whole: made under a name that begins with a dot, then renamed.

    Args:
        directory: to make; may be there if it is empty.
        G_state: un-padded, as `gan_core.cohort.Cohort.export` gives it.
        D_state: likewise.
        config: of the same member.

    Raises:
        MemberFileError: the directory has something in it, or cannot be written.
        ConfigError: the architecture cannot be imported.
    """
    directory = Path(directory)
    G, D = config.build()
    modules = {"G": f"{G}".splitlines(), "D": f"{D}".splitlines()}
    readable = json.dumps({**config.to_dict(), "modules": modules}, indent=2)
    content = {
        "G.safetensors": save({name: t.cpu().contiguous() for name, t in G_state.items()}),
        "D.safetensors": save({name: t.cpu().contiguous() for name, t in D_state.items()}),
        _CONFIG_NAME: f"{readable}\n".encode(),
    }
    temporary = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        for name, part in content.items():
            (temporary / name).write_bytes(part)
        # The system replaces an empty directory, and refuses one that is not.
        os.rename(temporary, directory)
    except OSError as error:
        raise MemberFileError(f"{directory}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_member(
    path: Path | str, *, device: str = "cpu"
) -> tuple[nn.Module, nn.Module, MemberConfig]:
    """The plain networks of a saved member, in evaluation mode.

    No code comes from the files, but an architecture "package.module:factory" is imported and
    called by that name: read such members only from those you trust.

    Args:
        path: a directory that `save_member` made, or a file of `member_bytes`.
        device: where the networks are to live.

    Returns:
        (G, D, config).

    Raises:
        MemberFileError: nothing is there, it is damaged, or does not fit its own config.
        ConfigError: the architecture cannot be imported.
    """
    path = Path(path)
    try:
        plain, states = _read_directory(path) if path.is_dir() else _read_file(path)
        config = MemberConfig.from_dict(plain)
    except OSError as error:
        raise MemberFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise MemberFileError(f"{path}: is damaged, or no saved GAN: {_line(error)}") from None
    modules = config.build()
    for module, player in zip(modules, ("G", "D"), strict=True):
        try:
            module.load_state_dict(states[player])
        except RuntimeError as error:
            right = f"{path}: the weights of {player} do not fit its config: {_line(error)}"
            raise MemberFileError(right) from None
        module.to(device).eval()
    return *modules, config


def _read_directory(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    plain = json.loads((path / _CONFIG_NAME).read_text(encoding="utf-8"))
    return plain, {player: _tensors(path / f"{player}.safetensors")[1] for player in ("G", "D")}


def _read_file(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    metadata, tensors = _tensors(path)
    states: dict[str, dict[str, Tensor]] = {"G": {}, "D": {}}
    for name, tensor in tensors.items():
        player, _, own = name.partition(".")
        states[player][own] = tensor
    return json.loads(metadata[_KEY]), states


def _tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        return file.metadata() or {}, {name: file.get_tensor(name) for name in names}


def _line(error: Exception) -> str:
    """What an error says, in one line."""
    text = f"no {error}" if isinstance(error, KeyError) else f"{error}"
    return " ".join(text.split())[:300]
