"""Runs a sweep and kills its processes on the way."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .backends import Backend
from .cluster import LIMIT_S, Cluster, wait_for
from .evidence import Asked
from .processes import kill
from .schedule import Event

__all__ = ["ASKED", "run_hurt", "write_config"]

ASKED = Asked(trials=60, seeds=2, seed=0, steps=800, every=100)

CONFIG = """
name = "{name}"
storage = "{storage}"
{study}
[data]
dataset = "ring8"
[model]
generator_widths = [32, 32]
discriminator_widths = [32, 32]
[train]
steps = {asked.steps}
batch_size = 32
eval_every = {asked.every}
seeds = {asked.seeds}
eval_images = 200
checkpoint_every_s = {keep_s}
[space]
lr_g = {{ low = 1e-4, high = 30.0, log = true }}
lr_d = {{ low = 1e-4, high = 30.0, log = true }}
latent_dim = {{ choices = [2, 4, 8] }}
loss = {{ choices = ["minimax", "nonsaturating", "lsgan", "hinge", "wasserstein"] }}
label_smoothing = {{ low = 0.0, high = 0.3 }}
beta1 = 0.5
[search]
trials = {asked.trials}
seed = {asked.seed}
pruner_keep = 0.75
allowed_diverged_share = 0.5
max_in_flight = 12
[[search.baseline]]  # diverges in its first steps
loss = "lsgan"
lr_g = 30.0
lr_d = 30.0
[resources]
workers = 3
slots = 8
device = "cpu"
"""


def write_config(path: Path, backend: Backend, name: str, keep_s: float) -> None:
    study = "" if backend.study is None else f'study = "{backend.study}"'
    text = CONFIG.format(
        name=name, storage=backend.storage, study=study, asked=ASKED, keep_s=keep_s
    )
    path.write_text(text)


@dataclass
class Hurt:
    """A sweep that runs; each driver's output is in `log`."""

    cluster: Cluster
    backend: Backend
    name: str
    cwd: Path
    driver: Any = None
    done: list[dict[str, Any]] = field(default_factory=list)
    _missing: int = 0
    _read: dict[str, set[int]] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.cwd / f"{self.name}.log"

    def begin(self, *arguments: str) -> None:
        self.driver = self.cluster.begin(
            *arguments, "--address", self.cluster.address, cwd=self.cwd, log=self.log
        )

    def share(self) -> float:
        """Of the trials that have ended, by their rows."""
        for path in self.backend.parts(self.name, "trials"):
            if path not in self._read:
                filesystem = self.backend.filesystem
                rows = pq.read_table(path, filesystem=filesystem, columns=["trial"])
                self._read[path] = set(rows["trial"].to_pylist())
        return len(set().union(*self._read.values())) / ASKED.trials

    def assert_runs(self) -> None:
        assert self.driver.poll() is None, self.log.read_text()

    def meet(self, event: Event) -> None:
        """Waits for the moment and kills."""

        def is_time() -> bool:
            self.assert_runs()
            return self.share() >= event.share

        wait_for(is_time, f"{event}: {self.log}")
        late, self._missing = self._missing, 0
        share = round(self.share(), 3)
        killed = getattr(self, f"_kill_{event.victim.value}")(event)
        self.done.append(
            {"victim": event.victim.value, "drawn": round(event.share, 3)}
            | {"share": share, "processes": killed}
        )
        for _ in range(late):
            self.cluster.add_node()

    def _kill_worker(self, event: Event) -> int:
        return self._kill_one(event, self.cluster.workers)

    def _kill_owner(self, event: Event) -> int:
        return self._kill_one(event, self.cluster.owners)

    def _kill_one(self, event: Event, living: Any) -> int:
        found: list[int] = []

        def some() -> bool:
            self.assert_runs()
            found[:] = living()
            return bool(found)

        wait_for(some, f"a {event.victim}")
        kill([found[int(event.which * len(found))]])
        return 1

    def _kill_node(self, event: Event) -> int:
        nodes = self.cluster.nodes()
        killed = self.cluster.kill_node(nodes[int(event.which * len(nodes))])
        if event.late and len(nodes) > 1:
            self._missing = 1
        else:
            self.cluster.add_node()
        return killed

    def _kill_driver(self, event: Event) -> int:
        self.driver.kill()
        self.driver.wait()
        self.begin("resume", self.name, "--storage", self.backend.storage)
        return 1


def run_hurt(
    cluster: Cluster, backend: Backend, name: str, cwd: Path, events: tuple[Event, ...]
) -> list[dict[str, Any]]:
    """Runs a sweep to its end.

    Returns:
        What was killed, and when.
    """
    hurt = Hurt(cluster, backend, name, cwd)
    try:
        hurt.begin("run", "sweep.toml")
        for event in events:
            hurt.meet(event)
        code = hurt.driver.wait(timeout=LIMIT_S)
        assert code == 0, hurt.log.read_text()
        assert f"{ASKED.trials} of {ASKED.trials} trials ended" in hurt.log.read_text()
        wait_for(lambda: not cluster.owners() and not cluster.workers(), "the last processes", 60)
    finally:
        hurt.driver.kill()
        hurt.driver.wait()
        for _ in range(2 - len(cluster.nodes())):
            cluster.add_node()
    return hurt.done
