"""Where a sweep's results and its study are."""

import contextlib
import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from pyarrow import fs

from .evidence import Told, times_ended, told_by

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
    requests: Counter[str] = field(default_factory=Counter)
    """Made so far, by how they were answered; of what does not count them, none."""

    def place(self, name: str) -> str:
        """A sweep's, in `filesystem`."""
        return f"{self.root}/{name}"

    def parts(self, name: str, folder: str) -> list[str]:
        """Files in a folder of a sweep, whole ones."""
        selector = fs.FileSelector(f"{self.place(name)}/{folder}", allow_not_found=True)
        try:
            infos = self.filesystem.get_file_info(selector)
        except FileNotFoundError:  # pyarrow's, of a folder that came to be as it looked
            infos = self.filesystem.get_file_info(selector)
        found = [info.path for info in infos]
        return [path for path in found if not path.rpartition("/")[2].startswith(".")]

    def journal(self, name: str) -> Path:
        return Path(self.place(name)) / "study.journal"

    def uri(self, name: str) -> str:
        """A sweep's, for `analysis.load`."""
        return self.place(name)

    def told(self, name: str) -> tuple[Told, ...]:
        """The study of a sweep that has ended."""
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(self.journal(name))))
        return told_by(optuna.load_study(study_name="gansweep", storage=storage))

    def ends(self, name: str) -> Counter[int]:
        return times_ended(self.journal(name))


@dataclass(frozen=True, kw_only=True)
class OnS3(Backend):
    options: str
    """What the URI has behind the path, for the test."""

    def uri(self, name: str) -> str:
        return f"s3://{self.place(name)}{self.options}"

    def journal(self, name: str) -> Path:
        (journal,) = Path(self.variables["XDG_STATE_HOME"]).glob(f"gansweep/{name}-*/study.journal")
        return journal


@dataclass(frozen=True, kw_only=True)
class OnPostgresql(Backend):
    password: str

    def told(self, name: str) -> tuple[Told, ...]:
        # What a study of many sweeps is called begins with the sweep.
        url = str(self.study).replace("postgresql://", "postgresql+psycopg://", 1)
        arguments = {"connect_args": {"password": self.password}}
        storage = optuna.storages.RDBStorage(url, engine_kwargs=arguments)
        try:
            (name,) = [n for n in optuna.get_all_study_names(storage) if n.startswith(f"{name}-")]
            return told_by(optuna.load_study(study_name=name, storage=storage))
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def ends(self, name: str) -> Counter[int]:
        return Counter()  # the database has where a trial stands, not how it came there


@contextlib.contextmanager
def directory(tmp_path: Path) -> Iterator[Backend]:
    yield Backend(storage=str(tmp_path / "runs"), root=str(tmp_path / "runs"))


@contextlib.contextmanager
def failing_s3(tmp_path: Path) -> Iterator[Backend]:
    """A half of the requests that fail were done all the same."""
    kind = _beside("flaky_s3").FlakyS3
    # Both hold the same: what the test itself asks for does not fail.
    with kind(share=0.05, seed=5) as s3, kind(share=0) as calm:
        calm.filesystem().create_dir("results")
        yield OnS3(
            storage=s3.uri("results/runs"),
            variables={**s3.environment, "XDG_STATE_HOME": str(tmp_path)},
            filesystem=calm.filesystem(),
            root="results/runs",
            options=calm.uri("").removeprefix("s3://"),
            requests=s3.counts,
        )


@contextlib.contextmanager
def postgresql(tmp_path: Path) -> Iterator[Backend]:
    module = _beside("postgresql")
    with module.postgresql_server() as server:
        yield OnPostgresql(
            storage=str(tmp_path / "runs"),
            study=server.url_without_password,
            variables={"PGPASSWORD": module.PASSWORD},
            password=module.PASSWORD,
            root=str(tmp_path / "runs"),
        )


BACKENDS = {"directory": directory, "s3": failing_s3, "postgresql": postgresql}
"""Each takes a directory of its own."""


def _beside(name: str) -> ModuleType:
    """A module of the tests of sweeps; tests are no package that one could import from."""
    path = Path(__file__).parents[1] / "sweeps" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"chaos_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
