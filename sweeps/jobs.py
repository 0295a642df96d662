"""Sweeps as Ray jobs: begun on a cluster's head from any machine that reaches its dashboard.

The first job of a sweep has its name as id, so submitting twice begins nothing twice. Those that
go on with it have a number too, as `digits~2`: for some seconds after a job has ended Ray still
looks after its id, and takes a new job of that id for dead. Needs `ray[default]`, here and on the
cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.config import ConfigError
from sweeps.attached import access_variables
from sweeps.config import SweepConfig
from sweeps.mistakes import SweepFailure, last_line
from sweeps.naming import CONFIG_NAME
from sweeps.ray_driver import DRIVER_VARIABLES, environment, reload_authentication

__all__ = ["Job", "Jobs", "jobs_at"]

_URL = re.compile(r"https?://[^@\s]+")
_MARK = "gansweep"  # in the metadata of a sweep's job
_AGAIN = "~"  # before the number of a job that goes on; no name of a sweep has it
_STOPS_WITHIN_S = 30
_POLL_S = 1.0
_NO_AGENT = "No available agent"  # Ray's words, of a head that has only just begun
_AGENT_WITHIN_S = 120.0


@dataclass(frozen=True)
class Job:
    """A sweep on a cluster."""

    name: str
    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    message: str
    began: float | None
    """Seconds of the epoch."""
    ended: float | None
    storage: str
    """Where its results are; credentials are never among a job's metadata."""
    config: str
    """Hash of what was submitted."""
    id: str = ""
    """By which Ray knows it."""

    @property
    def is_over(self) -> bool:
        """Whether it runs no more."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")

    @property
    def failure(self) -> str:
        """Why it failed, in a line; empty if it has not.

        What Ray says of a job that failed ends with the last line that it printed, if it began.
        """
        return last_line(self.message) or "its job failed" if self.status == "FAILED" else ""


@contextlib.contextmanager
def jobs_at(address: str) -> Iterator[Jobs]:
    """The sweeps of the cluster whose dashboard is at a URL.

    Raises:
        ConfigError: nothing answers there, or it asks for another token.
        SweepFailure: `ray[default]` is not installed, or the cluster cannot do it.
    """
    if not _URL.fullmatch(address):
        right = "must be the URL of a cluster's dashboard, like http://127.0.0.1:8265"
        raise ConfigError("--address", address, right)
    with environment(DRIVER_VARIABLES | access_variables()), _told(address):
        try:
            import aiohttp  # noqa: F401  of ray[default], for `follow`
            from ray.job_submission import JobSubmissionClient
        except ImportError:
            raise _incomplete() from None
        reload_authentication()
        # They say what is uploaded, and that what was followed has ended.
        for name in ("ray", "ray.dashboard.modules.job.sdk"):
            logging.getLogger(name).setLevel(logging.WARNING)
        yield Jobs(JobSubmissionClient(address))


class Jobs:
    """The sweeps of one cluster; from `jobs_at`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(
        self, config: SweepConfig, folder: Path, *, python: str = "python", address: str = "auto"
    ) -> tuple[Job, bool]:
        """Begins a sweep, or goes on with one that was stopped or failed.

        Args:
            config: with a name.
            folder: from `sweeps.staging.staged`; becomes the job's directory.
            python: the interpreter on the head.
            address: of the cluster as its head knows it, where Ray may find several by itself.

        Returns:
            The job, and whether it was begun: one that runs or is done is left as it is.

        Raises:
            ConfigError: it runs with another config.
        """
        assert config.name is not None
        digest = hashlib.sha256((folder / CONFIG_NAME).read_bytes()).hexdigest()[:16]
        known = self._find(config.name)
        if known is not None:
            is_same = known.config == digest
            if not known.is_over and not is_same:
                right = "runs there with another config: stop that first, or take another name"
                raise ConfigError("name", config.name, right)
            if is_same and (not known.is_over or known.status == "SUCCEEDED"):
                return known, False
        command = [python, "-m", "sweeps", "run", CONFIG_NAME, "--or-resume", "--address", address]
        self._submitted(
            entrypoint=f"exec {shlex.join(command)}",
            submission_id=self._new_id(config.name),
            runtime_env={
                "working_dir": str(folder),
                # Ray's own 3 seconds are less than an interval may take.
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOPS_WITHIN_S)},
            },
            metadata={_MARK: digest, "storage": _without_secrets(config.storage)},
        )
        return self.job(config.name), True

    def _submitted(self, **job: Any) -> None:
        """Submits a job, and waits for a head that is not ready to take it."""
        end = time.monotonic() + _AGENT_WITHIN_S
        while True:
            try:
                self._client.submit_job(**job)
            except RuntimeError as error:
                if _NO_AGENT not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def job(self, name: str) -> Job:
        """One sweep.

        Raises:
            ConfigError: there is none of this name.
        """
        found = self._find(name)
        if found is None:
            known = ", ".join(job.name for job in self.all()) or "none"
            raise ConfigError("SWEEP", name, f"no such sweep was submitted there; known: {known}")
        return found

    def all(self) -> list[Job]:
        """All sweeps, the last begun first; of each its last job."""
        last = {job.name: job for job in self._jobs() if job.config}
        return sorted(last.values(), key=lambda job: job.began or 0, reverse=True)

    def logs(self, name: str) -> str:
        """What the last job of a sweep has printed so far."""
        return str(self._client.get_job_logs(self.job(name).id))

    def follow(self, name: str) -> Iterator[str]:
        """What the last job of a sweep has printed, and prints until it ends."""
        chunks = self._client.tail_job_logs(self.job(name).id).__aiter__()
        with asyncio.Runner() as runner:
            while True:
                try:
                    yield runner.run(chunks.__anext__())
                except StopAsyncIteration:
                    return

    def stop(self, name: str) -> Job:
        """Lets a sweep end at its next rung, as Ctrl-C does, and waits for it."""
        self.request_stop(name)
        return self.wait(name, 2 * _STOPS_WITHIN_S)

    def request_stop(self, name: str) -> None:
        """Lets a sweep end at its next rung, and does not wait for it."""
        job = self.job(name)
        if not job.is_over:
            self._client.stop_job(job.id)

    def forget(self, name: str) -> None:
        """Removes the records of a sweep's jobs that are over, if any are; its results stay."""
        for job in self._jobs():
            if job.name == name and job.is_over:
                self._client.delete_job(job.id)

    def wait(self, name: str, limit_s: float) -> Job:
        """Waits until a sweep has ended.

        Raises:
            SweepFailure: it has not within the limit.
        """
        end = time.monotonic() + limit_s
        while not (job := self.job(name)).is_over:
            if time.monotonic() > end:
                raise SweepFailure(f"{name} is still {job.status} after {limit_s:.0f} seconds")
            time.sleep(_POLL_S)
        return job

    def output_of(self, command: list[str], name: str, limit_s: float) -> str:
        """What a short command on the head prints.

        Args:
            command: and its arguments.
            name: of the job, which is removed afterwards.
            limit_s: how long it may take.

        Raises:
            SweepFailure: it failed.
        """
        metadata = {_MARK: ""}  # is not listed
        self._submitted(
            entrypoint=f"exec {shlex.join(command)}", submission_id=name, metadata=metadata
        )
        job = self.wait(name, limit_s)
        output = str(self._client.get_job_logs(name))
        self._client.delete_job(name)
        if job.status != "SUCCEEDED":
            raise SweepFailure(f"on the head: {last_line(output) or job.failure}")
        return output

    def _jobs(self) -> list[Job]:
        """Of all sweeps, the last of each after those before it."""
        jobs = [_job(details) for details in self._client.list_jobs()]
        return sorted((job for job in jobs if job is not None), key=lambda job: _number(job.id))

    def _find(self, name: str) -> Job | None:
        return next((job for job in reversed(self._jobs()) if job.name == name), None)

    def _new_id(self, name: str) -> str:
        """One that no job of a sweep has had, nor anything that Ray has left of a job."""
        ids = [str(details.submission_id) for details in self._client.list_jobs()]
        taken = [_number(each) for each in ids if _name(each) == name]
        return f"{name}{_AGAIN}{max(taken) + 1}" if taken else name


def _name(job: str) -> str:
    """Of the sweep that a job of this id runs."""
    return job.partition(_AGAIN)[0]


def _number(job: str) -> int:
    """Which job of its sweep it is, from 1."""
    number = job.partition(_AGAIN)[2]
    return int(number) if number.isdecimal() else 1


def _job(details: Any) -> Job | None:
    """None for a job that is no sweep."""
    metadata = details.metadata or {}
    if details.submission_id is None or _MARK not in metadata:
        return None
    return Job(
        name=_name(details.submission_id),
        status=str(getattr(details.status, "value", details.status)),
        message=details.message or "",
        began=_seconds(details.start_time),
        ended=_seconds(details.end_time),
        storage=metadata.get("storage", ""),
        config=metadata[_MARK],
        id=details.submission_id,
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _without_secrets(storage: str) -> str:
    """A storage without the user and the query of a URI, where credentials stand."""
    return re.sub(r"\?.*", "", re.sub(r"//[^/@]*@", "//", storage))


def _incomplete() -> SweepFailure:
    return SweepFailure('jobs need ray[default]: pip install "gansweep[cluster]"')


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Turns what Ray raises into one line."""
    try:
        yield
    except ConnectionError as error:
        right = "no Ray dashboard answers there"
        raise ConfigError("--address", address, right) from error
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if "ray[default]" in text:
            raise _incomplete() from None
        if re.search(r"unauthori[sz]ed|forbidden|authentication|40[13]\b", text, re.IGNORECASE):
            right = (
                "the cluster asks for its token: RAY_AUTH_TOKEN_PATH must name the file of it, or "
                "~/.ray/auth_token hold it"
            )
            raise ConfigError("--address", address, right) from None
        raise SweepFailure(f"{address}: {text}") from None
