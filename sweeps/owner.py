"""The actor that owns a sweep's study: by a name, so that a later run finds and replaces it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.config import SweepConfig
from sweeps.mistakes import SweepFailure
from sweeps.plan import Plan
from sweeps.ray_driver import NAMESPACE
from sweeps.space import Space
from sweeps.study import StudyOwner
from sweeps.study_place import Place

__all__ = ["FencedStudyOwner", "end_owner", "own_study", "owner_name"]

_LOCK_NAME = ".study.lock"
_GONE_WITHIN_S = 60.0
_POLL_S = 0.1


class FencedStudyOwner(StudyOwner):
    """The owner of a study, and its only one: it begins when no other is left.

    Ray says that an actor is dead before its process is, and a node that was cut off may run on.
    The lock beside a journal is the system's, so it goes with the process and not before; a
    database has one of its own, see `sweeps.database`.

    Raises:
        SweepFailure: another still lives after a minute.
    """

    def __init__(self, settings: Any, suggest: Any, place: Place, run_id: str) -> None:
        if isinstance(place, Path):
            self._fence = _locked(place.with_name(_LOCK_NAME))
        super().__init__(settings, suggest, place, run_id, ahead=True)


def own_study(config: SweepConfig, plan: Plan, place: Place) -> Any:
    """Starts the owner, in place of one that an earlier run has left.

    It outlives its driver, is begun again as often as it dies, on the driver's node, where the
    journal is; its calls may be repeated, so Ray repeats them for us.

    Args:
        config: of the sweep.
        plan: for the trials in flight.
        place: of the study; whoever calls this holds the sweep's lock.

    Returns:
        The actor's handle.
    """
    name = owner_name(place.parent) if isinstance(place, Path) else f"study-{place.name}"
    _end_left(name)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return (
        ray.remote(FencedStudyOwner)
        .options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=-1,
            scheduling_strategy=here,
        )
        .remote(
            config.settings(max_in_flight=plan.max_in_flight),
            Space(config).suggest,
            place,
            secrets.token_hex(8),
        )
    )


def end_owner(owner: Any) -> None:
    """Ends it for good. Everything that it acknowledged is in the study's place."""
    ray.kill(owner, no_restart=True)


def owner_name(directory: Path) -> str:
    """Of the owner of the study in a sweep's directory; a cluster may run namesakes elsewhere."""
    place = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]
    return f"study-{directory.name}-{place}"


def _end_left(name: str) -> None:
    """Ends the owner that a killed driver has left, and waits until its name is free."""
    end = time.monotonic() + _GONE_WITHIN_S
    while time.monotonic() < end:
        try:
            left = ray.get_actor(name, namespace=NAMESPACE)
        except ValueError:
            return
        ray.kill(left, no_restart=True)
        time.sleep(_POLL_S)
    raise SweepFailure(f"the actor {name} of an earlier run does not end: see `ray list actors`")


def _locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    end = time.monotonic() + _GONE_WITHIN_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(file)
                raise SweepFailure(f"{path}: another process owns the study") from None
            time.sleep(_POLL_S)
        else:
            return file
