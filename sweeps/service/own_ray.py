"""Finds the Ray of a service's own again, or begins it; stops it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.import_path import worker_variables
from sweeps.jobs import Job, jobs_at
from sweeps.mistakes import SweepFailure
from sweeps.service.head import ADDRESS_NAME, HEAD_LOCK, access_to_head
from sweeps.service.launching import RayLauncher
from sweeps.service.own_folder import OwnFolder

__all__ = ["OwnRay", "stop_head"]

_BEGINS_WITHIN_S = 180.0
_ENDS_WITHIN_S = 60.0
_POLL_S = 0.2
_LOG_NAME = "head.log"


class OwnRay:
    """Runs sweeps on a Ray on this machine, which it begins when there is none.

    Whoever makes one holds the services' lock of the folder, so that the Ray stays.

    Args:
        folder: of the service.
        code: directory with the modules of allowed architectures.
    """

    can_start = True

    def __init__(self, folder: OwnFolder, code: Path) -> None:
        self._folder, self._code = folder, code
        # Of this process, which has no other Ray: Ray's client reads them from there.
        os.environ.pop("RAY_AUTH_TOKEN", None)
        os.environ.update(access_to_head(folder))

    def begin(self) -> None:
        """Begins Ray if none runs, and waits until it does.

        Raises:
            SweepFailure: it does not begin.
        """
        self._jobs(begin=True)

    def jobs(self) -> list[Job]:
        """All sweeps that were submitted, none while there is no Ray."""
        ray = self._jobs(begin=False)
        return [] if ray is None else ray.jobs()

    def submit(self, config: SweepConfig) -> tuple[Job, bool]:
        """Begins a sweep, see `sweeps.jobs.Jobs.submit`."""
        ray = self._jobs(begin=True)
        assert ray is not None
        return ray.submit(config)

    def stop(self, name: str) -> None:
        """Asks a sweep to end at its next rung."""
        if (ray := self._jobs(begin=False)) is not None:
            ray.stop(name)

    def forget(self, name: str) -> None:
        """Removes the record of a sweep that is over."""
        if (ray := self._jobs(begin=False)) is not None:
            ray.forget(name)

    def logs(self, name: str) -> str:
        """What a sweep has printed."""
        ray = self._jobs(begin=False)
        return "" if ray is None else ray.logs(name)

    def _jobs(self, *, begin: bool) -> RayLauncher | None:
        head = _found(self._folder)
        if head is None and begin:
            head = _begun(self._folder)
        if head is None:
            return None
        return RayLauncher(head.url, sys.executable, self._code, head.joined)


def stop_head(folder: OwnFolder) -> list[str] | None:
    """Stops the sweeps that run on a service's own Ray, at their next rungs, and then that.

    Returns:
        Their names; None if there was no such Ray.

    Raises:
        SweepFailure: it does not end.
    """
    head = _found(folder)
    if head is None:
        return None
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ.update(access_to_head(folder))
    with jobs_at(head.url) as jobs:
        running = [job.name for job in jobs.all() if not job.is_over]
        for name in running:
            jobs.request_stop(name)
        for name in running:
            jobs.wait(name, _ENDS_WITHIN_S)
    os.kill(head.process, signal.SIGTERM)
    end = time.monotonic() + _ENDS_WITHIN_S
    while folder.is_held(HEAD_LOCK):
        if time.monotonic() > end:
            raise SweepFailure(f"Ray has not ended within {_ENDS_WITHIN_S:.0f} seconds")
        time.sleep(_POLL_S)
    return running


@dataclass(frozen=True)
class _Head:
    """A Ray that runs."""

    url: str
    """Of its dashboard."""
    joined: str
    """For drivers on this machine, where others may run a Ray, too."""
    process: int


def _found(folder: OwnFolder) -> _Head | None:
    """The Ray that runs, None if none does, or not yet."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        told = json.loads((folder.path / ADDRESS_NAME).read_text())
        head = _Head(told["url"], told["joined"], int(told["process"]))
        if folder.is_held(HEAD_LOCK):
            return head
    return None


def _begun(folder: OwnFolder) -> _Head:
    """Begins one, in a session of its own: what ends the service does not reach it."""
    log = folder.path / _LOG_NAME
    # From a checkout it has to be found in the head's folder too, and by the sweeps.
    found = {n: v for n, v in worker_variables().items() if n == "PYTHONPATH"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeps.service.head", str(folder.path)],
            cwd=folder.path,
            env=os.environ | found,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    end = time.monotonic() + _BEGINS_WITHIN_S
    while (head := _found(folder)) is None:
        if process.poll() not in (None, 0) or time.monotonic() > end:
            lines = log.read_text(errors="replace").split("\n")
            said = [line.strip() for line in lines if line.strip()][-1:]
            raise SweepFailure(f"Ray does not begin: {' '.join(said)[:300]} ({log} says more)")
        time.sleep(_POLL_S)
    return head
