"""Finds sweeps by what a person calls them, and names new ones, wherever they lie."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gan_core.config import ConfigError
from sweeps.lock import is_locked
from sweeps.mistakes import did_you_mean
from sweeps.naming import CONFIG_NAME, DEFAULT_STORAGE, can_be_name, check_name, command
from sweeps.uri import check_storage, child, is_uri, shown, without_secrets

if TYPE_CHECKING:
    from sweeps.store import Store

__all__ = [
    "check_new",
    "choose_name",
    "existing",
    "find_sweep",
    "list_sweeps",
    "make_sweep",
    "short_name",
]

_PATIENCE_S = 5.0  # of a person at a prompt

_BEFORE_CONFIG = re.compile(rf"\.lock|\.clock-.*|\.{re.escape(CONFIG_NAME)}\..*")


def find_sweep(given: str, storage: str = DEFAULT_STORAGE) -> Store:
    """The sweep that is named, or given by its directory or URI.

    Args:
        given: by a person.
        storage: where names are looked for, a directory or URI.

    Raises:
        ConfigError: neither is a sweep.
        StorageError: the storage cannot be asked.
    """
    from sweeps.store import Store  # pyarrow, for which `--help` need not wait

    storage = check_storage(storage)
    for place in _places(given, storage):
        if Store(place, patience_s=_PATIENCE_S).has_config():
            return Store(place)
    where = shown(storage)
    known = list_sweeps(storage)
    right = f"in {where}: {did_you_mean(given, known)}" if known else f"{where} holds none"
    raise ConfigError("SWEEP", shown(given), f"there is no such sweep; {right}")


def _places(given: str, storage: str) -> list[str]:
    if is_uri(given):
        return [check_storage(given)]
    if not given:
        return []
    own = str(Path(given).expanduser().absolute())
    if not is_uri(storage):
        return [str((Path(storage).expanduser() / given).absolute()), own]
    # What is no name could lead out of the storage.
    return [child(storage, given), own] if can_be_name(given) else [own]


def list_sweeps(storage: str) -> list[str]:
    """The names of the sweeps in a storage, sorted.

    Raises:
        StorageError: the storage cannot be asked.
    """
    storage = check_storage(storage)
    if not is_uri(storage):
        configs = Path(storage).expanduser().glob(f"*/{CONFIG_NAME}")
        return sorted(config.parent.name for config in configs)
    from sweeps.objects import ObjectFiles

    return ObjectFiles(storage, _PATIENCE_S).folders_with(CONFIG_NAME)


def choose_name(storage: str, wanted: str | None, dataset: str) -> str:
    """The name that a new sweep would get. Creates nothing: see `make_sweep`.

    Args:
        storage: where sweeps lie; need not exist.
        wanted: the user's choice, or None for the dataset's name with the next free suffix:
            `digits`, `digits-2`, ...
        dataset: the dataset's name.

    Raises:
        ConfigError: the wanted name cannot be one or exists.
        StorageError: the storage cannot be asked.
    """
    if wanted is not None:
        place = child(storage, check_name(wanted))
        if _taken(place) and not _is_ghost(place):
            raise _exists(place, wanted)
        return wanted
    names = (dataset if n == 1 else f"{dataset}-{n}" for n in itertools.count(1))
    return next(name for name in names if not _taken(child(storage, name)))


def make_sweep(storage: str, wanted: str | None, dataset: str) -> Store:
    """The place of a new sweep. A directory is made, which nobody else has then.

    Two may begin at once. In an object store, where there are no directories, it is the lock that
    lets only one go on: see `sweeps.lease`.

    Args:
        storage: where sweeps lie; made if it is not there.
        wanted: as in `choose_name`.
        dataset: the dataset's name.

    Raises:
        ConfigError: the wanted name cannot be one or exists.
        StorageError: the storage cannot be asked.
        OSError: it cannot be made.
    """
    from sweeps.store import Store

    while True:
        name = choose_name(storage, wanted, dataset)
        store = Store(child(storage, name))
        if store.is_local:
            try:
                store.home.mkdir(parents=True)
            except FileExistsError:
                if wanted is None:
                    continue  # somebody else took the name in between
                if not _is_ghost(store.address):
                    raise _exists(store.address, wanted) from None
        return store


def check_new(store: Store) -> None:
    """Sees that no sweep has begun where a new one is to begin; whoever calls holds its lock.

    Raises:
        ConfigError: one has.
    """
    if store.has_config():
        raise _exists(store.address, store.name)


def existing(storage: str, name: str) -> Store | None:
    """The place of that name, if there is anything.

    Raises:
        StorageError: the storage cannot be asked.
    """
    from sweeps.store import Store

    place = child(storage, check_name(name))
    return Store(place) if _taken(place) else None


def short_name(store: Store) -> str:
    """The shortest that a command run from here takes for a sweep."""
    by_name = child(DEFAULT_STORAGE, store.name) == store.address
    return store.name if by_name else store.address


def _exists(place: str, name: str) -> ConfigError:
    again = command("resume", without_secrets(place))
    return ConfigError("name", name, f"exists; {again} goes on with it; another begins with --name")


def _is_ghost(place: str) -> bool:
    """Whether all that is there is what a run leaves that is killed before it writes its config.

    A run that has just begun looks the same for a moment: the lock settles whose it is.
    """
    folder = Path(place)
    if is_uri(place) or folder.is_symlink() or is_locked(folder):
        return False
    try:
        return all(_BEFORE_CONFIG.fullmatch(path.name) for path in folder.iterdir())
    except OSError:
        return False


def _taken(place: str) -> bool:
    if is_uri(place):
        from sweeps.objects import ObjectFiles

        # A run that is killed before it writes its config leaves its lock.
        names = ObjectFiles(place, _PATIENCE_S).names()
        return any(not _BEFORE_CONFIG.fullmatch(name) for name in names)
    return Path(place).exists() or Path(place).is_symlink()
