"""What a person takes out of a sweep: a member's networks, and pictures of its samples."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from gan_core.config import ConfigError
from gan_core.export import MemberConfig, MemberFileError, load_member, save_member
from gan_core.samples import grid_png
from gan_core.sampling import class_labels, evaluation_latents, generate, interpolate
from sweeps.import_path import append_user_directory
from sweeps.members import described
from sweeps.mistakes import SweepFailure
from sweeps.store import Store

__all__ = ["COLUMNS", "draw", "export", "load_image_generator"]

COLUMNS = 8
"""Samples in a row of a picture."""

_PIXELS = 64  # least height of a sample in a picture


def export(store: Store, member: pd.Series, out: Path | None = None) -> str:
    """Writes a member's networks, config and some samples as a directory of its own.

    Args:
        store: of the sweep.
        member: its row in the table of trials; its weights were kept.
        out: what to make, named after the member by default; may be there if it is empty.

    Returns:
        What was done, in a line.

    Raises:
        ConfigError: `out` has something in it, or cannot be made.
        SweepFailure: the weights are damaged.
    """
    out = out or Path(_name(store, member))
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError("--out", str(out), "is there already: take another path")
    G, D, config = _load(store, member)
    try:
        save_member(out, G.state_dict(), D.state_dict(), config)
    except MemberFileError as error:
        raise ConfigError("--out", str(out), f"{error}".removeprefix(f"{out}: ")) from None
    if _is_of_images(config):
        _write(out / "samples.png", _grid(G, config, COLUMNS**2))
    return f"wrote {out}: {described(member)}"


def draw(
    store: Store,
    member: pd.Series,
    out: Path | None = None,
    *,
    n: int = COLUMNS**2,
    between: bool = False,
) -> str:
    """Draws a member's samples on a grid.

    Args:
        store: of the sweep.
        member: its row in the table of trials; its weights were kept.
        out: the PNG to write, in place of what is there; named after the member by default.
        n: samples; of a conditional model as many of each class, in a row for each.
        between: whether each row goes from one random z to another in `COLUMNS` steps.

    Returns:
        What was done, in a line.

    Raises:
        ConfigError: n does not fill the rows, or `out` cannot be written.
        SweepFailure: the weights are damaged.
    """
    out = out or Path(f"{_name(store, member)}.png")
    if out.suffix != ".png":
        raise ConfigError("--out", str(out), "must end in .png")
    if n < 1 or (between and n % COLUMNS):
        right = f"a multiple of {COLUMNS}, the steps from one z to the next" if between else ">= 1"
        raise ConfigError("--n", n, f"must be {right}")
    G, config = load_image_generator(store, member)
    _write(out, (_ways if between else _grid)(G, config, n))
    return f"wrote {out}: {described(member)}"


def load_image_generator(store: Store, member: pd.Series) -> tuple[nn.Module, MemberConfig]:
    """A member's generator, on the CPU.

    Args:
        store: of the sweep.
        member: its row in the table of trials; its weights were kept.

    Raises:
        ConfigError: it makes points.
        SweepFailure: the weights are damaged.
    """
    G, _, config = _load(store, member)
    if not _is_of_images(config):
        right = "makes points, not images: `gansweep export` it, and plot them"
        raise ConfigError("SWEEP", store.name, right)
    return G, config


def _name(store: Store, member: pd.Series) -> str:
    return f"{store.name}-trial-{member['trial']}-seed-{member['seed']}"


def _load(store: Store, member: pd.Series) -> tuple[nn.Module, nn.Module, MemberConfig]:
    append_user_directory()  # an architecture of the user's own
    with store.weights(member["trial"], member["seed"]) as path:
        try:
            return load_member(path)
        except MemberFileError as error:
            raise SweepFailure(f"{error}") from None


def _is_of_images(config: MemberConfig) -> bool:
    return len(config.sample_shape) == 3


def _grid(G: nn.Module, config: MemberConfig, n: int) -> bytes:
    """The samples that the member was judged by; of a conditional model a row for each class."""
    if not config.cohort.conditional:
        return _png(generate(G, config, evaluation_latents(config, n)), COLUMNS)
    classes = len(config.classes)
    columns = max(1, n // classes)
    z = evaluation_latents(config, columns).repeat(classes, 1)
    labels = torch.arange(classes).repeat_interleave(columns)
    return _png(generate(G, config, z, labels), columns)


def _ways(G: nn.Module, config: MemberConfig, n: int) -> bytes:
    """A walk in z: each row ends where the next begins, and keeps to one class."""
    rows = n // COLUMNS
    stops = evaluation_latents(config, rows + 1)
    z = interpolate(stops[:-1], stops[1:], COLUMNS, config.cohort.noise).flatten(0, 1)
    labels = class_labels(config, rows)
    labels = None if labels is None else labels.repeat_interleave(COLUMNS)
    return _png(generate(G, config, z, labels), COLUMNS)


def _png(samples: Tensor, columns: int) -> bytes:
    return grid_png(samples, columns, scale=max(1, _PIXELS // samples.shape[-2]))


def _write(path: Path, content: bytes) -> None:
    """At once: under a name that begins with a dot, then renamed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ConfigError("--out", str(path), f"cannot be written: {error.strerror}") from None
