"""Names of sweeps, which are names of directories under the storage."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

from gan_core.config import ConfigError
from sweeps.mistakes import did_you_mean

__all__ = [
    "CONFIG_NAME",
    "DEFAULT_STORAGE",
    "check_name",
    "choose_name",
    "command",
    "find_sweep",
    "list_sweeps",
    "make_directory",
    "short_name",
]

CONFIG_NAME = "sweep.toml"
"""File in a sweep's directory that holds its resolved config."""

DEFAULT_STORAGE = "runs"
"""Where sweeps lie unless something else is said."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def check_name(name: str, key: str = "name") -> str:
    """The name, if it can be one: it can neither leave the storage nor hide in it.

    Raises:
        ConfigError: anything but lower-case letters, digits, `.`, `_` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            key,
            name,
            "must be 1 to 100 of a-z, 0-9, '.', '_', '-' and begin with a letter or digit",
        )
    return name


def choose_name(storage: Path, wanted: str | None, dataset: str) -> str:
    """The name that a new sweep would get. Creates nothing: see `make_directory`.

    Args:
        storage: where sweeps lie; need not exist.
        wanted: the user's choice, or None for the dataset's name with the next free suffix:
            `digits`, `digits-2`, ...
        dataset: the dataset's name.

    Raises:
        ConfigError: the wanted name cannot be one or exists.
    """
    if wanted is not None:
        if _taken(storage / check_name(wanted)):
            raise _exists(storage / wanted)
        return wanted
    names = (dataset if n == 1 else f"{dataset}-{n}" for n in itertools.count(1))
    return next(name for name in names if not _taken(storage / name))


def make_directory(storage: Path, wanted: str | None, dataset: str) -> Path:
    """Makes the directory of a new sweep, which nobody else has then: two may begin at once.

    Args:
        storage: where sweeps lie; made if it is not there.
        wanted: as in `choose_name`.
        dataset: the dataset's name.

    Raises:
        ConfigError: the wanted name cannot be one or exists.
        OSError: it cannot be made.
    """
    while True:
        directory = storage / choose_name(storage, wanted, dataset)
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            if wanted is not None:
                raise _exists(directory) from None
            continue  # somebody else took the name in between
        return directory


def _exists(directory: Path) -> ConfigError:
    right = f"exists; {command('resume', directory)} goes on with it; another begins with --name"
    return ConfigError("name", directory.name, right)


def command(*words: str | Path) -> str:
    """How a message shows a command, such that it can be pasted into a shell."""
    return f"`{shlex.join(['gansweep', *map(str, words)])}`"


def short_name(directory: Path) -> str:
    """The shortest that a command run from here takes for the sweep in this directory."""
    by_name = Path(DEFAULT_STORAGE).absolute() / directory.name == directory
    return directory.name if by_name else f"{directory}"


def find_sweep(given: str, storage: Path) -> Path:
    """The directory of a sweep that is named, or given by its path.

    Raises:
        ConfigError: neither is a sweep.
    """
    for directory in (storage / given, Path(given).expanduser()):
        if given and (directory / CONFIG_NAME).is_file():
            return directory.absolute()
    known = list_sweeps(storage)
    right = f"in {storage}: {did_you_mean(given, known)}" if known else f"{storage} holds none"
    raise ConfigError("SWEEP", given, f"there is no such sweep; {right}")


def list_sweeps(storage: Path) -> list[str]:
    """The names of the sweeps in a storage, sorted."""
    return sorted(config.parent.name for config in storage.glob(f"*/{CONFIG_NAME}"))


def _taken(path: Path) -> bool:
    return path.exists() or path.is_symlink()
