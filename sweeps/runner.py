"""Runs a sweep, on this machine or a cluster: its place, its Ray, its display, its stop."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gan_core.config import ConfigError
from sweeps.attached import attached_ray, reach
from sweeps.cluster_plan import ClusterPlan, cluster_plan, trainers
from sweeps.compaction import compact
from sweeps.config import SweepConfig
from sweeps.config_file import to_toml
from sweeps.continuation import check_study
from sweeps.embedded import embedded_ray
from sweeps.finding import check_new, make_sweep
from sweeps.importances import write_importances
from sweeps.lease import Lease, held
from sweeps.machine import this_machine
from sweeps.mistakes import SweepFailure
from sweeps.naming import command
from sweeps.nodes import Expected, alive, expect, survey
from sweeps.plan import Plan, plan
from sweeps.preflight import check_architecture
from sweeps.progress import Display
from sweeps.protocol import StudyStatus
from sweeps.recovery import Recovered, recover
from sweeps.store import StorageError, Store
from sweeps.study_copy import JournalCopy, adopt, copied
from sweeps.study_place import Place, study_place
from sweeps.study_url import JOURNAL
from sweeps.versions import versions

if TYPE_CHECKING:
    from sweeps.fleet import Fleet

__all__ = ["launch", "plan_on_cluster", "run"]

JOURNAL_NAME = "study.journal"
LOGS_NAME = "logs"

_POLL_S = 0.5
_GRACE_S = 10.0  # for workers to reach a rung after Ctrl-C; what they lose then is trained again
_SILENT = "The study does not answer: it is busy, its storage fails, or its process begins anew."
_ANSWERS = "The study answers again."


def run(config: SweepConfig) -> Path | str:
    """Runs a new sweep on this machine, as `gansweep run` does, with progress on stderr.

    Args:
        config: from `sweeps.load_config`, or made in Python.

    Returns:
        The sweep's directory, or its URI, for `analysis.load`.

    Raises:
        KeyboardInterrupt: it was stopped; `gansweep resume` goes on with it.
        ConfigError, StorageError, SweepError: see `launch`.
    """
    planned = plan(config, this_machine(config.resources.device))
    store, status = launch(config, planned=planned, console=Console(stderr=True))
    if not status.done:
        raise KeyboardInterrupt
    return store.home if store.is_local else store.uri


def launch(
    config: SweepConfig,
    *,
    planned: Plan | None = None,
    console: Console,
    store: Store | None = None,
    address: str | None = None,
) -> tuple[Store, StudyStatus]:
    """Runs a sweep until it is done or interrupted.

    Args:
        config: of the sweep.
        planned: how this machine is used; a cluster is planned once its nodes are known.
        console: where progress is shown.
        store: of the sweep to go on with; None begins a new one by the config's name, or
            without one by the next free name.
        address: of a running cluster, see `sweeps.attached`; None starts a Ray on this machine.

    Returns:
        The sweep's store, and where it stands at the end. Unless it is `done`, it was
        interrupted (Ctrl-C or SIGTERM), and whatever ended before is kept.

    Raises:
        ConfigError: the architecture cannot be used, the name is taken, the sweep is being run by
            somebody else, or was begun with settings whose values cannot be compared; no cluster
            is to be had at the address, or one of its nodes cannot take part.
        StorageError: results cannot be written.
        SweepFailure: another machine took the sweep over.
        SweepError: workers broke again and again.
    """
    check_architecture(config)
    if address is not None:
        reach(address)
    is_new = store is None
    if store is None:
        store = _make(config)
        config = config.model_copy(update={"name": store.name})
    journal, logs = store.home / JOURNAL_NAME, store.home / LOGS_NAME
    with held(store) as lease:
        if is_new:
            check_new(store)
        with _removed_if_refused(store if is_new else None):
            place = _take_up(config, store, journal, is_new=is_new, console=console, lease=lease)
            made_with = "\n".join(f"{package} {number}" for package, number in versions().items())
            store.write_config(to_toml(config, comment=made_with))
        with (
            _interrupted_in_words(console, store, address),
            _stop_requests() as asked,
            ThreadPoolExecutor(2) as beside,
        ):
            endings: list[Future[None]] = []
            with contextlib.ExitStack() as stack:
                copy: JournalCopy | None = None
                expected = None
                if place == journal:
                    copies = copied(store, journal, lambda: not (lease and lease.lost))
                    copy = stack.enter_context(copies)
                if address is None:
                    planned = planned or plan(config, this_machine(config.resources.device))
                    stack.enter_context(
                        embedded_ray(cpus=planned.workers, gpus=planned.gpus, log_dir=logs)
                    )
                else:
                    stack.enter_context(attached_ray(address, log_dir=logs))
                    expected = stack.enter_context(expect(store))
                    with _removed_if_refused(store if is_new else None):
                        planned = _plan_cluster(config, expected)
                # Ray reads some of its environment, which was just set, when it is imported.
                from sweeps.fleet import Fleet

                store.clean()
                objective = config.search.objective
                display = Display(config.search.trials, console, objective=objective)
                stack.enter_context(display)
                fleet = Fleet(config, planned, place, store, logs, expected)
                stack.callback(fleet.close)
                begun = fleet.status()
                _tell_what_goes_on(console, begun.running - begun.ready, len(store.kept_trials()))
                status = _watch(fleet, display, console, asked, lease)
                if status.done and not fleet.is_running():
                    fleet.close()  # of the study nobody else writes
                    endings = [
                        beside.submit(_tidy, store),
                        beside.submit(write_importances, place, store),
                    ]  # while Ray ends
            if copy is not None and copy.failure is not None:
                only = f"The study is whole in {journal} alone: {copy.failure}"
                console.print(only, soft_wrap=True, markup=False)
            for ending in endings:
                ending.result()
            if not endings:
                write_importances(place, store)
                if status.done:
                    _tidy(store)
    return store, status


def _tidy(store: Store) -> None:
    """Of a sweep that is done and whose workers have ended."""
    store.forget_members()
    compact(store)


def _take_up(
    config: SweepConfig,
    store: Store,
    journal: Path,
    *,
    is_new: bool,
    console: Console,
    lease: Lease | None,
) -> Place:
    """Finds the study, makes a journal what it should be, and sees that the config goes with it.

    Raises:
        ConfigError: the study was begun with settings whose values cannot be compared.
        StorageError: the storage cannot be read.
        DatabaseError: the study's database cannot be reached.
    """
    said = []
    if lease is not None:
        said = [f"Taken over from {lease.taken_over}." if lease.taken_over else None]
        if is_new or config.study == JOURNAL:
            said.append(adopt(store, journal, is_new=is_new))
    place = study_place(config.study, journal, name=store.name, location=store.location)
    check_study(config.settings(), place, is_new=is_new)
    if lease is not None and not is_new and place == journal:
        found = recover(config, journal, store)
        said.append(f"{found}" if found != Recovered() else None)
    for line in filter(None, said):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    return place


def plan_on_cluster(config: SweepConfig, address: str) -> ClusterPlan:
    """How a sweep would use a running cluster; begins nothing.

    Raises:
        ConfigError: no cluster is to be had at the address, or one of its nodes cannot take part.
    """
    reach(address)
    with (
        tempfile.TemporaryDirectory() as logs,
        attached_ray(address, log_dir=Path(logs)),
        expect() as expected,
    ):
        return _plan_cluster(config, expected)


@contextlib.contextmanager
def _removed_if_refused(store: Store | None) -> Iterator[None]:
    """Leaves nothing of a sweep that cannot begin: its name is free to try again."""
    try:
        yield
    except (ConfigError, SweepFailure):
        if store is not None:
            shutil.rmtree(store.home, ignore_errors=True)
            store.forget_config()
        raise


def _plan_cluster(config: SweepConfig, expected: Expected) -> ClusterPlan:
    """Asks the nodes that may train, and plans with what they have."""
    nodes = trainers(config, alive())
    return cluster_plan(config, survey(nodes, config, expected))


def _make(config: SweepConfig) -> Store:
    try:
        return make_sweep(config.storage, config.name, config.data.dataset)
    except OSError as error:
        storage = Path(config.storage).expanduser().absolute()
        raise StorageError(f"{storage}: cannot be written to: {error.strerror}") from None


@contextlib.contextmanager
def _interrupted_in_words(console: Console, store: Store, address: str | None) -> Iterator[None]:
    """Says how to go on after a second Ctrl-C, which waits for nothing."""
    try:
        yield
    except KeyboardInterrupt:
        again = command("resume", store.address, *(["--address", address] if address else []))
        console.print(f"Interrupted; {again} goes on.", soft_wrap=True, highlight=False)
        raise


def _tell_what_goes_on(console: Console, running: int, kept: int) -> None:
    """Of a sweep that was resumed. A file that is damaged is only seen when it is taken up."""
    kept = min(kept, running)
    if running:
        console.print(
            f"Trials that were in training: {running}; "
            f"what was kept of {kept} is there to go on from, the others begin again.",
            soft_wrap=True,
        )


def _watch(
    fleet: Fleet,
    display: Display,
    console: Console,
    asked: threading.Event,
    lease: Lease | None,
) -> StudyStatus:
    """Draws until the workers have ended or the user asks to stop."""
    said, answers = 0, True
    while True:
        is_asked = asked.is_set()
        is_over = is_asked or not fleet.is_running()
        if is_asked and fleet.is_running():
            console.print("Stopping at the next rung; Ctrl-C again does not wait for it.")
        if lease is not None and lease.lost is not None:
            fleet.request_stop()
            raise SweepFailure(f"the sweep was taken over by {lease.lost}: it stops here")
        status = fleet.status() if is_over else fleet.glance()
        if answers != (status is not None):
            answers = status is not None
            console.print(_ANSWERS if answers else _SILENT, soft_wrap=True)
        if status is None:
            continue
        for line in status.notices[said:]:
            console.print(Text(line), soft_wrap=True)
        said = len(status.notices)
        display.update(status)
        if is_over:
            break
        fleet.wait(_POLL_S)
    if status.done:
        return status
    if status.failure is not None:
        raise StorageError(status.failure)
    if not asked.is_set():
        raise fleet.failure()
    fleet.request_stop()
    fleet.wait(_GRACE_S)
    return fleet.status()


@contextlib.contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """Lets Ctrl-C, and SIGTERM which schedulers send, ask for a stop; the second one interrupts.

    A KeyboardInterrupt could arise anywhere, in a callback of Ray's too, where it is lost.

    Yields:
        What is set when a stop is asked for.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals are the main thread's
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.default_int_handler(number, frame)
        asked.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
