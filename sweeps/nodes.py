"""The nodes of a cluster: what each has, and whether it can take part in a sweep.

A node can if it would train a trial as any other does: with the same code, on the same data, into
the same storage.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gan_core.config import Architecture, ConfigError
from gan_core.datasets import check_dataset
from sweeps.build import Build, this_build
from sweeps.config import SweepConfig
from sweeps.machine import Machine, this_machine
from sweeps.mistakes import SweepFailure, last_line
from sweeps.store import StorageError, Store

__all__ = [
    "Expected",
    "Node",
    "alive",
    "examine",
    "examine_as_worker",
    "expect",
    "survey",
    "workers_on",
]

_MARK_NAME = ".shared"
_ANSWERS_WITHIN_S = 120.0  # torch is imported there, from a disk that may be cold


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the driver has, and every node must have."""

    build: Build
    store: Store | None = None
    """Of the sweep, where a mark is; None where that is not known yet."""
    nonce: str = ""
    """What it holds."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of the cluster."""

    id: str
    address: str
    host: str
    cpus: int
    """As Ray counts them; workers take one each."""
    gpus: float
    machine: Machine | None = None
    """As it describes itself, once it was asked."""

    @property
    def name(self) -> str:
        """For messages."""
        return self.address if self.host in ("", self.address) else f"{self.host} ({self.address})"


@contextlib.contextmanager
def expect(store: Store | None = None) -> Iterator[Expected]:
    """What to hold nodes against, for as long as some may join.

    Args:
        store: of the sweep; a mark is put there, which is seen where the storage is shared.
    """
    if store is None:
        yield Expected(build=this_build())
        return
    nonce = secrets.token_hex(8)
    store.write_note(_MARK_NAME, nonce.encode())
    try:
        yield Expected(build=this_build(), store=store, nonce=nonce)
    finally:
        with contextlib.suppress(StorageError):
            store.drop_note(_MARK_NAME)


def examine(config: SweepConfig, expected: Expected) -> None:
    """Sees whether this process could train the sweep; runs where a worker would.

    Raises:
        SweepFailure: what differs, as it is seen from the driver.
    """
    difference = this_build().difference(expected.build)
    if difference:
        raise SweepFailure(f"{difference}: every node needs the same")
    if expected.store is not None:
        _check_shared(expected.store, expected.nonce)
    data = config.data
    try:
        check_dataset(data.dataset, data.root, data.download, image_size=data.image_size)
    except ConfigError as error:
        raise SweepFailure(f"{error}") from None
    module, own, _ = config.model.architecture.partition(":")
    if own and config.model.architecture not in list(Architecture):
        top = module.partition(".")[0]
        if importlib.util.find_spec(top) is None:
            raise SweepFailure(f"there is no module {top} for {config.model.architecture} there")


def examine_as_worker(config: SweepConfig, expected: Expected) -> None:
    """`examine` for a worker that begins, on a node that the driver may not have asked.

    Raises:
        SweepFailure: what differs, and at which node.
    """
    import ray

    try:
        examine(config, expected)
    except SweepFailure as failure:
        node = ray.util.get_node_ip_address()
        raise SweepFailure(f"node {node}: {failure}") from None


def workers_on(node: Node, *, gpu_share: float) -> int:
    """How many workers fit on a node; each takes a core."""
    if not gpu_share:
        return node.cpus
    # Ray does not split a share over two devices.
    return min(node.cpus, int(node.gpus) * int(1 / gpu_share + 1e-6))


def alive() -> list[Node]:
    """The nodes on which a worker could be placed; Ray must be running."""
    import ray

    found = [
        Node(
            id=node["NodeID"],
            address=node["NodeManagerAddress"],
            host=node.get("NodeManagerHostname", ""),
            cpus=int(node["Resources"].get("CPU", 0)),
            gpus=node["Resources"].get("GPU", 0.0),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return [node for node in found if node.cpus]


def survey(nodes: Sequence[Node], config: SweepConfig, expected: Expected) -> list[Node]:
    """Asks every node once, all at the same time.

    Args:
        nodes: from `alive`.
        config: of the sweep.
        expected: what they must have.

    Returns:
        The nodes, each with its machine, without those that were lost meanwhile.

    Raises:
        ConfigError: a node cannot take part; the message names it and says why. Or none is left.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    asked = [
        look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(config, expected, node.gpus > 0)
        for node in nodes
    ]
    ray.wait(asked, num_returns=len(asked), timeout=_ANSWERS_WITHIN_S)
    found: list[Node] = []
    refusal: ConfigError | None = None
    for node, answer in zip(nodes, asked, strict=True):
        try:
            found.append(replace(node, machine=_answer(node, answer)))
        except ConfigError as error:
            refusal = error
            if any(node.id == left.id for left in alive()):
                raise
    if not found and refusal is not None:
        raise refusal
    return found


def _look(config: SweepConfig, expected: Expected, has_gpus: bool) -> Machine:
    """Runs on the node that is asked."""
    examine(config, expected)
    if has_gpus:
        # Ray hides the devices from a task that claims none of them.
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    return this_machine("auto" if has_gpus else "cpu")


def _answer(node: Node, answer: Any) -> Machine:
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError, WorkerCrashedError

    try:
        machine: Machine = ray.get(answer, timeout=0)
    except RayTaskError as error:
        cause = error.cause
        reason = f"{cause}" if isinstance(cause, SweepFailure) else last_line(error)
    except WorkerCrashedError:
        # It imports `sweeps` before anything else.
        reason = "a worker dies there as it starts: gansweep must be installed on every node"
    except GetTimeoutError:
        reason = f"it has not answered within {_ANSWERS_WITHIN_S:.0f} seconds"
    except RayError as error:
        reason = last_line(error)
    else:
        return machine
    raise ConfigError("--address", node.name, reason)


def _check_shared(store: Store, nonce: str) -> None:
    right = "storage must be a path that all nodes share"
    try:
        if store.read_note(_MARK_NAME) == nonce.encode():
            return
    except StorageError as error:
        if not store.is_local:
            raise SweepFailure(f"{error}, there: every node needs credentials of its own") from None
    if not store.is_local:
        right = "every node must reach the same store"
    raise SweepFailure(f"{store.location} is not the driver's there: {right}")
