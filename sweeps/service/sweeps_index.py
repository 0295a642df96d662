"""Which sweeps there are and how far each is: found again from the storage and from Ray's jobs.

Nothing is remembered that could not be found again; what is kept saves reading a file twice that
has not changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sweeps.jobs import Job
from sweeps.lock import is_locked
from sweeps.naming import CONFIG_NAME, check_name
from sweeps.service.launching import Launcher
from sweeps.service.refusals import Refusal
from sweeps.service.states import Begun, RunState, SweepState
from sweeps.service.summary import DamagedSweep, Facts, Progress, Summariser, read_facts

__all__ = ["SweepsIndex"]

T = TypeVar("T")

_FRESH_S = 0.5
"""How old an answer may be."""
_JOBS_FRESH_S = 2.0
_IMPATIENCE_S, _PATIENCE_S = 1.0, 30.0
_DONE_WITHIN_S = 120.0
_TABLES = ("trials", "history", "samples", "control", "importances")
_LONGEST_MESSAGE = 300


@dataclass
class _Known:
    """What was read of a sweep's files, for as long as they stay as they are."""

    summariser: Summariser
    stamp: tuple[int, ...] = ()
    was_running: bool = False
    facts: Facts = field(default_factory=Facts)
    progress: Progress = field(default_factory=Progress)
    damage: str = ""


class SweepsIndex:
    """The sweeps of a storage.

    Args:
        storage: directory that holds them; need not be there yet.
        launcher: knows the jobs.
    """

    def __init__(self, storage: Path, launcher: Launcher) -> None:
        self._storage, self._launcher = storage, launcher
        self._known: dict[str, _Known] = {}
        self.states: dict[str, SweepState] = {}
        """By name, as of the last look."""
        self.revision = 0
        """Another whenever a state is."""
        self._jobs: dict[str, Job] = {}
        self._jobs_problem = ""
        self._looked, self._jobs_looked = -1e9, -1e9
        self._turn = asyncio.Lock()
        self._asking: asyncio.Task[None] | None = None
        self._asked = -1e9
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._jobs_thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    def directory(self, name: str) -> Path:
        """Of a sweep; the name is one that cannot leave the storage."""
        return self._storage / check_name(name)

    @property
    def jobs_problem(self) -> str:
        """Why Ray's jobs cannot be asked, in one line; else empty."""
        return self._jobs_problem

    async def all(self) -> list[SweepState]:
        """All sweeps: those that run first, then the last changed first."""
        await self.refresh()
        order = {state: place for place, state in enumerate(RunState)}
        active = (RunState.PENDING, RunState.RUNNING)

        def place(sweep: SweepState) -> tuple[int, float, str]:
            rank = order[sweep.state] if sweep.state in active else len(order)
            return rank, -(sweep.changed_at or 0.0), sweep.name

        return sorted(self.states.values(), key=place)

    async def get(self, name: str) -> SweepState:
        """One sweep.

        Raises:
            Refusal: there is none of this name.
        """
        await self.refresh()
        if name not in self.states:
            raise Refusal(404, f'SWEEP = "{name}": there is no such sweep')
        return self.states[name]

    async def job(self, name: str) -> Job | None:
        """The job of a sweep as it is now, None if no job of this storage has the name."""
        await self._refresh_jobs(at_once=True)
        return self._jobs.get(name)

    async def on_jobs(self, call: Callable[[], T]) -> T:
        """Runs a call of the launcher where these run one after the other; then looks anew.

        Raises:
            Refusal: it takes too long; it may be done yet.
        """
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._jobs_thread, call)
            return await asyncio.wait_for(asyncio.shield(future), _DONE_WITHIN_S)
        except TimeoutError:
            raise Refusal(503, "Ray does not answer: see later whether it was done") from None
        finally:
            self._looked = self._jobs_looked = -1e9

    async def refresh(self, *, at_once: bool = False) -> None:
        """Looks again, unless somebody just has."""
        if not at_once and time.monotonic() - self._looked < _FRESH_S:
            return
        await self._refresh_jobs(at_once=at_once)
        async with self._turn:
            if not at_once and time.monotonic() - self._looked < _FRESH_S:
                return
            loop = asyncio.get_running_loop()
            states = await loop.run_in_executor(self._thread, self._look, self._jobs)
            if states != self.states:
                self.states = states
                self.revision += 1
            self._looked = time.monotonic()

    def close(self) -> None:
        """Ends its threads."""
        for thread in (self._thread, self._jobs_thread):
            thread.shutdown(wait=False, cancel_futures=True)

    # --- jobs

    async def _refresh_jobs(self, *, at_once: bool) -> None:
        """Asks for the jobs; who only looks does not wait long for a cluster that is away."""
        if at_once and self._asking is not None and not self._asking.done():
            await asyncio.wait({self._asking}, timeout=_PATIENCE_S)  # it may have seen too little
        if self._asking is None or self._asking.done():
            if not at_once and time.monotonic() - self._jobs_looked < _JOBS_FRESH_S:
                return
            self._asking = asyncio.create_task(self._ask_for_jobs())
            self._asked = time.monotonic()
        left_s = self._asked + _IMPATIENCE_S - time.monotonic()
        limit_s = _PATIENCE_S if at_once else max(0.0, left_s)
        done, _ = await asyncio.wait({self._asking}, timeout=limit_s)
        if not done:
            self._jobs_problem = "Ray has not answered yet"

    async def _ask_for_jobs(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            jobs = await loop.run_in_executor(self._jobs_thread, self._launcher.jobs)
        except Exception as error:  # whatever Ray raises: the results are there all the same
            self._jobs_problem = " ".join(str(error).split())[:_LONGEST_MESSAGE]
        else:
            self._jobs_problem = ""
            self._jobs = {job.name: job for job in jobs if Path(job.storage) == self._storage}
        self._jobs_looked = time.monotonic()

    # --- in the thread

    def _look(self, jobs: dict[str, Job]) -> dict[str, SweepState]:
        names = self._names()
        for name in self._known.keys() - set(names):
            del self._known[name]
        states = {name: self._state(name, jobs.get(name)) for name in names}
        for name, job in jobs.items():
            if name not in states:
                states[name] = _without_files(job)
        return states

    def _names(self) -> list[str]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for path in self._storage.iterdir():
                with contextlib.suppress(ValueError, OSError):
                    if (path / CONFIG_NAME).is_file():
                        found.append(check_name(path.name))
        return sorted(found)

    def _state(self, name: str, job: Job | None) -> SweepState:
        directory = self._storage / name
        known = self._known.setdefault(name, _Known(Summariser(directory)))
        locked, stamp = is_locked(directory), _stamp(directory)
        if known.stamp != stamp or known.was_running != locked:
            self._read(known, directory, locked)
            known.stamp, known.was_running = stamp, locked
        facts, progress = known.facts, known.progress
        changed_at = max(stamp) / 1e9 or None
        state, message = _run_state(known, locked, job, changed_at)
        ended, asked = progress.counts.ended, facts.trials
        made = ended + (progress.training_steps / facts.steps if facts.steps else 0)
        return SweepState(
            name=name,
            state=state,
            message=message,
            begun_by=Begun.SHELL if job is None else Begun.JOB,
            dataset=facts.dataset,
            architecture=facts.architecture,
            objective=facts.objective,
            greater_is_better=facts.greater_is_better,
            trials=asked,
            ended=ended,
            counts=progress.counts,
            in_training=progress.in_training,
            share=min(1.0, made / asked) if asked else 0.0,
            training_steps=progress.training_steps,
            best_trial=progress.best_trial,
            best_value=progress.best_value,
            changed_at=changed_at,
            version=hashlib.sha256(f"{name} {stamp}".encode()).hexdigest()[:16],
        )

    def _read(self, known: _Known, directory: Path, is_running: bool) -> None:
        try:
            known.facts = read_facts(directory)
            known.progress = known.summariser.progress(known.facts, is_running=is_running)
            known.damage = ""
        except DamagedSweep as damage:
            known.damage = str(damage)[:_LONGEST_MESSAGE]


def _stamp(directory: Path) -> tuple[int, ...]:
    """When a sweep's files changed; parts are renamed into their folders, which that changes."""
    times = []
    for path in (directory / CONFIG_NAME, *(directory / table for table in _TABLES)):
        try:
            times.append(path.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


def _run_state(
    known: _Known, locked: bool, job: Job | None, changed_at: float | None
) -> tuple[RunState, str]:
    """What it is doing, and what is wrong."""
    if known.damage and not locked:
        return RunState.UNREADABLE, known.damage
    if job is not None and job.status == "PENDING":
        return RunState.PENDING, ""
    if locked or (job is not None and not job.is_over):
        return RunState.RUNNING, known.damage
    # A sweep whose job failed may have gone on at a shell since; and where one failed that was to
    # extend it, all trials that it has had have ended.
    is_last_word = job is not None and (job.ended or 0) >= (changed_at or 0)
    if job is not None and job.status == "FAILED" and is_last_word:
        return RunState.FAILED, job.failure[:_LONGEST_MESSAGE]
    if 0 < known.facts.trials <= known.progress.counts.ended:
        return RunState.DONE, ""
    return RunState.STOPPED, ""


def _without_files(job: Job) -> SweepState:
    """A job that has made no directory, yet or at all."""
    states = {"PENDING": RunState.PENDING, "RUNNING": RunState.RUNNING}
    ended = RunState.FAILED if job.status == "FAILED" else RunState.STOPPED
    return SweepState(
        name=job.name,
        state=states.get(job.status, ended),
        message=job.failure[:_LONGEST_MESSAGE],
        begun_by=Begun.JOB,
    )
