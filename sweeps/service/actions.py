"""Begins, stops, extends and deletes sweeps: asked for over HTTP, done by Ray's jobs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gan_core.config import ConfigError
from sweeps.config import SweepConfig
from sweeps.config_file import load_config
from sweeps.lock import SweepLock, holder
from sweeps.mistakes import SweepFailure
from sweeps.naming import CONFIG_NAME
from sweeps.service.launching import Launcher
from sweeps.service.refusals import Refusal
from sweeps.service.states import RunState, SweepState
from sweeps.service.sweeps_index import SweepsIndex

__all__ = ["Actions"]

T = TypeVar("T")

_CONFIRMED_WITHIN_S = 120


class Actions:
    """What may be done with the sweeps of a storage.

    Args:
        index: of the sweeps.
        launcher: what they run on.
    """

    def __init__(self, index: SweepsIndex, launcher: Launcher) -> None:
        self._index, self._launcher = index, launcher
        self._secret = secrets.token_bytes(32)
        self._turn = asyncio.Lock()

    async def name_for(self, config: SweepConfig) -> str:
        """The name that a config asks for, or the next free one of its dataset."""
        if config.name is not None:
            return config.name
        await self._index.refresh(at_once=True)
        taken = {sweep.name for sweep in await self._index.all()}
        dataset = config.data.dataset.value
        names = (dataset if n == 1 else f"{dataset}-{n}" for n in itertools.count(1))
        free = (n for n in names if n not in taken and not self._index.directory(n).exists())
        return next(free)

    async def submit(self, config: SweepConfig) -> tuple[SweepState, bool]:
        """Begins a sweep; submitted again it is left alone while it runs or when it is done.

        Returns:
            Where it stands, and whether it was begun.

        Raises:
            Refusal: the name is taken, or nothing can be begun.
        """
        async with self._turn:  # two must not take one free name
            name = await self.name_for(config)
            named = config.model_copy(update={"name": name})
            is_there = self._index.directory(name).exists()
            if is_there and await self._index.job(name) is None:
                right = f"exists; POST /api/sweeps/{name}/resume goes on with it"
                raise Refusal(409, f'name = "{name}": {right}')
            return await self._launch(named)

    async def resume(self, name: str, more_trials: int = 0) -> SweepState:
        """Goes on with a sweep that was stopped or failed, or extends it.

        Raises:
            Refusal: it runs, or has nothing left to do.
        """
        async with self._turn:
            await self._index.refresh(at_once=True)
            sweep = await self._index.get(name)
            if not sweep.is_over:
                raise Refusal(409, f'SWEEP = "{name}": is {sweep.state}: stop it first')
            if sweep.state is RunState.DONE and not more_trials:
                raise Refusal(409, f'SWEEP = "{name}": is done; extend it by more trials')
            config = await asyncio.to_thread(self._stored, name, more_trials)
            state, _ = await self._launch(config)
            return state

    async def stop(self, name: str) -> SweepState:
        """Lets a sweep end at its next rung, and does not wait for it.

        Raises:
            Refusal: it does not run, or not where it can be stopped from here.
        """
        await self._index.refresh(at_once=True)
        sweep = await self._index.get(name)
        if sweep.is_over:
            raise Refusal(409, f'SWEEP = "{name}": does not run')
        job = await self._index.job(name)
        if job is not None and not job.is_over:
            await self._on_jobs(lambda: self._launcher.stop(name))
        else:
            process = await asyncio.to_thread(holder, self._index.directory(name))
            if process is None:
                raise Refusal(409, f'SWEEP = "{name}": was begun elsewhere: stop it there')
            os.kill(process, signal.SIGTERM)
        return await self._now(name)

    async def ask_to_delete(self, name: str) -> tuple[str, str]:
        """What confirms that a sweep is to be deleted, and a warning.

        Raises:
            Refusal: it runs.
        """
        sweep = await self._over(name)
        until = int(time.time()) + _CONFIRMED_WITHIN_S
        warning = f"deletes all results of {name}: {sweep.ended} trials; nothing brings them back"
        return f"{until}.{self._mark(sweep, until)}", warning

    async def delete(self, name: str, confirm: str) -> None:
        """Deletes a sweep, its results and the record of its job.

        Raises:
            Refusal: it runs, or this was not confirmed.
        """
        sweep = await self._over(name)
        until, _, mark = confirm.partition(".")
        in_time = until.isdecimal() and len(until) < 16 and int(until) > time.time()
        if not in_time or not hmac.compare_digest(
            mark.encode("utf-8", "replace"), self._mark(sweep, int(until)).encode()
        ):
            raise Refusal(409, "confirm: is not what the first request answered, or too old: again")
        await asyncio.to_thread(_remove, self._index.directory(name))
        await self._on_jobs(lambda: self._launcher.forget(name))
        await self._index.refresh(at_once=True)

    async def logs(self, name: str) -> str:
        """What the job of a sweep has printed; empty for one without a job.

        Raises:
            Refusal: there is no such sweep.
        """
        await self._index.get(name)
        if await self._index.job(name) is None:
            return ""
        return await self._on_jobs(lambda: self._launcher.logs(name))

    async def _over(self, name: str) -> SweepState:
        await self._index.refresh(at_once=True)
        sweep = await self._index.get(name)
        if not sweep.is_over:
            raise Refusal(409, f'SWEEP = "{name}": is {sweep.state}: stop it first')
        return sweep

    async def _launch(self, config: SweepConfig) -> tuple[SweepState, bool]:
        assert config.name is not None
        try:
            _, is_new = await self._on_jobs(lambda: self._launcher.submit(config))
        except ConfigError as error:  # of that name another config runs
            raise Refusal(409, str(error)) from None
        return await self._now(config.name), is_new

    async def _now(self, name: str) -> SweepState:
        await self._index.refresh(at_once=True)
        return await self._index.get(name)

    def _stored(self, name: str, more_trials: int) -> SweepConfig:
        """The config of a sweep that is there, in this storage."""
        directory = self._index.directory(name)
        here = {"name": name, "storage": str(directory.parent)}
        config = load_config(directory / CONFIG_NAME, options=here)
        search = config.search.model_copy(update={"trials": config.search.trials + more_trials})
        return config.model_copy(update={"search": search})

    async def _on_jobs(self, call: Callable[[], T]) -> T:
        """What Ray cannot do is no mistake of who asks."""
        try:
            return await self._index.on_jobs(call)
        except ConfigError as error:
            if error.key != "--address":
                raise
            raise Refusal(503, f"Ray: {error.right}") from None
        except SweepFailure as failure:
            raise Refusal(503, f"Ray: {failure}") from None

    def _mark(self, sweep: SweepState, until: int) -> str:
        text = f"{sweep.name} {sweep.version} {until}".encode()
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


def _remove(directory: Path) -> None:
    """Takes it away at once, and then to pieces; nobody can begin to run it in between."""
    if not directory.exists():
        return
    grave = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}.deleted")
    try:
        with SweepLock(directory):
            directory.rename(grave)
    except (ConfigError, SweepFailure, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else "another process runs it"
        raise Refusal(409, f'SWEEP = "{directory.name}": cannot be deleted: {reason}') from None
    shutil.rmtree(grave, ignore_errors=True)
