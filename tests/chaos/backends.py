"""Where a sweep's results and its study are."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from pyarrow import fs

from .evidence import times_ended

__all__ = ["BACKENDS", "Backend"]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The plain one: a directory, and a journal in it."""

    storage: str
    """As `sweep.toml` has it."""
    study: str | None = None
    """Likewise; None for the journal."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of all processes of the cluster and of the commands."""
    filesystem: Any = field(default_factory=fs.LocalFileSystem)
    """By which the test reads the results; it loses no request."""
    root: str
    """The storage in it."""

    def place(self, name: str) -> str:
        """A sweep's, in `filesystem`."""
        return f"{self.root}/{name}"

    def parts(self, name: str, folder: str) -> list[str]:
        """Files in a folder of a sweep, whole ones."""
        selector = fs.FileSelector(f"{self.place(name)}/{folder}", allow_not_found=True)
        found = [info.path for info in self.filesystem.get_file_info(selector)]
        return [path for path in found if not path.rpartition("/")[2].startswith(".")]

    def journal(self, name: str) -> Path:
        return Path(self.place(name)) / "study.journal"

    def optuna(self, name: str) -> optuna.storages.BaseStorage:
        """The study of a sweep that has ended."""
        return optuna.storages.JournalStorage(JournalFileBackend(str(self.journal(name))))

    def ends(self, name: str) -> Counter[int]:
        return times_ended(self.journal(name))


@contextlib.contextmanager
def local_directory(tmp_path: Path) -> Iterator[Backend]:
    yield Backend(storage=str(tmp_path / "runs"), root=str(tmp_path / "runs"))


BACKENDS = {"directory": local_directory}
"""Each takes a directory of its own."""
