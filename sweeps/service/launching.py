"""Begins and stops sweeps as Ray jobs, and knows which there are."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from sweeps.config import SweepConfig
from sweeps.jobs import Job, jobs_at
from sweeps.service.refusals import Refusal
from sweeps.staging import staged

__all__ = ["Launcher", "NoLauncher", "RayLauncher"]


class Launcher(Protocol):
    """What sweeps run on. Its calls take their time: not for the event loop."""

    @property
    def can_start(self) -> bool:
        """Whether sweeps can be begun at all."""

    def jobs(self) -> list[Job]:
        """All sweeps that were submitted there."""

    def submit(self, config: SweepConfig) -> tuple[Job, bool]:
        """Begins a sweep, see `sweeps.jobs.Jobs.submit`."""

    def stop(self, name: str) -> None:
        """Asks a sweep to end at its next rung, and does not wait for it."""

    def forget(self, name: str) -> None:
        """Removes the record of a sweep that is over."""

    def logs(self, name: str) -> str:
        """What a sweep has printed."""


class NoLauncher:
    """For a service that only shows what there is."""

    can_start = False

    def jobs(self) -> list[Job]:
        """None."""
        return []

    def submit(self, config: SweepConfig) -> tuple[Job, bool]:
        """Refuses."""
        raise _without_ray()

    def stop(self, name: str) -> None:
        """Refuses."""
        raise _without_ray()

    def forget(self, name: str) -> None:
        """There is nothing to forget."""

    def logs(self, name: str) -> str:
        """Nothing."""
        return ""


class RayLauncher:
    """The jobs of a Ray cluster.

    Args:
        address: of its dashboard.
        python: the interpreter on its head.
        code: directory with the modules of allowed architectures; they travel with a sweep.
        joined: address of the cluster for those who are on its head.
    """

    can_start = True

    def __init__(self, address: str, python: str, code: Path, joined: str = "auto") -> None:
        self._address, self._joined = address, joined
        self._python = python
        self._code = code

    def jobs(self) -> list[Job]:
        """All sweeps that were submitted there."""
        with jobs_at(self._address) as jobs:
            return jobs.all()

    def submit(self, config: SweepConfig) -> tuple[Job, bool]:
        """Begins a sweep, or goes on with one that was stopped or failed."""
        with staged(config, self._code) as folder, jobs_at(self._address) as jobs:
            return jobs.submit(config, folder, python=self._python, address=self._joined)

    def stop(self, name: str) -> None:
        """Asks a sweep to end at its next rung."""
        with jobs_at(self._address) as jobs:
            jobs.request_stop(name)

    def forget(self, name: str) -> None:
        """Removes the record of a sweep that is over, if there is one."""
        with jobs_at(self._address) as jobs:
            jobs.forget(name)

    def logs(self, name: str) -> str:
        """What a sweep has printed."""
        with jobs_at(self._address) as jobs:
            return jobs.logs(name)


def _without_ray() -> Refusal:
    return Refusal(503, "this service only shows sweeps: it was begun with --no-ray")
