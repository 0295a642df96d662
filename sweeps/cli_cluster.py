"""The commands for sweeps on a cluster elsewhere: submit, list, logs, stop, fetch."""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from gan_core.config import ConfigError
from sweeps.cli_arguments import DEFAULT_STORAGE, DONE, OURS, Storage, Sweep, out_console
from sweeps.config_file import load_config
from sweeps.fetched import place_for, put_whole
from sweeps.finding import find_sweep
from sweeps.lock import holder
from sweeps.mistakes import SweepConfigError, SweepFailure
from sweeps.naming import command
from sweeps.uri import is_uri

if TYPE_CHECKING:
    from sweeps.config import SweepConfig
    from sweeps.jobs import Job
    from sweeps.store import Store

__all__ = ["fetch", "list_submitted", "logs", "show_job", "stop", "submit"]

_FETCHES_WITHIN_S = 300
_CLOSING_LINES = 30  # of a sweep that has ended: what it says of itself

Url = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL",
        envvar="GANSWEEP_ADDRESS",
        help="Of a Ray cluster's dashboard, like http://127.0.0.1:8265.",
    ),
]


def submit(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML.")],
    address: Url,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Change a value. May be repeated."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="search.trials: how many to train.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the sweep and of its job.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="DIR|URI", help="The storage for sweeps, on the cluster.")
    ] = None,
    code: Annotated[
        Path, typer.Option(metavar="DIR", help="Where modules of your own architecture lie.")
    ] = Path(),
    python: Annotated[
        str, typer.Option(metavar="PROGRAM", help="The interpreter on the cluster's head.")
    ] = "python",
) -> int:
    """Run a sweep on a cluster elsewhere, as a Ray job.

    \b
    gansweep submit sweep.toml --address http://127.0.0.1:8265
    gansweep status digits --address http://127.0.0.1:8265
    gansweep logs digits -f --address http://127.0.0.1:8265

    Submitting again does nothing while the sweep runs or when it is done, and goes on with one
    that was stopped or failed. The storage is a directory that all nodes share. The dashboard
    listens on the head alone: `ssh -L 8265:localhost:8265 HEAD` brings it here.
    """
    from sweeps.jobs import jobs_at
    from sweeps.staging import staged

    options = {"search.trials": trials, "name": name, "storage": storage}
    given = {key: value for key, value in options.items() if value is not None}
    loaded = load_config(config, changes or (), options=given, check_files=False)
    _check_submitted(loaded)
    with staged(loaded, code.absolute()) as folder, jobs_at(address) as jobs:
        job, is_new = jobs.submit(loaded, folder, python=python)
    done = "is done" if job.status == "SUCCEEDED" else "runs already"
    typer.echo(f"{job.name} {'was submitted' if is_new else done}")
    typer.echo(f"{command('logs', job.name, '-f', '--address', address)} follows it")
    return DONE


def _check_submitted(config: SweepConfig) -> None:
    """What only a sweep that runs elsewhere must have."""
    if config.name is None:
        right = "must be given: submitting a name again does not begin it again"
        raise SweepConfigError("name", None, right)
    if not is_uri(config.storage) and not Path(config.storage).is_absolute():
        right = "must be an absolute path that all nodes share: a job's own directory is temporary"
        raise ConfigError("storage", config.storage, right)


def list_submitted(address: Url) -> int:
    """List the sweeps that were submitted to a cluster.

    \b
    gansweep list --address http://127.0.0.1:8265
    """
    from sweeps.jobs import jobs_at

    with jobs_at(address) as jobs:
        known = jobs.all()
    table = Table(box=None)
    for column in ("sweep", "job", "began", "took", "storage"):
        table.add_column(column, overflow="fold")
    for job in known:
        table.add_row(job.name, job.status.lower(), _when(job), _took(job), job.storage)
    out_console().print(table if known else "No sweep was submitted there.")
    return DONE


def show_job(name: str | None, address: str) -> int:
    """What `gansweep status --address URL` shows."""
    from sweeps.jobs import jobs_at

    if name is None:
        return list_submitted(address)
    with jobs_at(address) as jobs:
        job = jobs.job(name)
        printed = [line for line in jobs.logs(name).splitlines() if line.strip()]
    typer.echo(f"{job.name}: {job.status.lower()}, began {_when(job)}, {_took(job)}")
    typer.echo(f"Results: {job.storage}/{job.name}")
    for line in printed[-_CLOSING_LINES if job.is_over else -1 :]:
        typer.echo(line)
    return _verdict(job)


def _verdict(job: Job) -> int:
    """The exit code of a command that showed a job; says why it failed if it did."""
    if job.failure:
        typer.echo(f"gansweep: {job.name} failed: {job.failure}", err=True)
        return OURS
    return DONE


def logs(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="Its name.")],
    address: Url,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the sweep ends.")
    ] = False,
) -> int:
    """Show what a submitted sweep prints.

    \b
    gansweep logs digits -f --address http://127.0.0.1:8265

    Ctrl-C ends -f and leaves the sweep alone.
    """
    from sweeps.jobs import jobs_at

    with jobs_at(address) as jobs:
        if not follow:
            typer.echo(jobs.logs(name), nl=False)
            return DONE
        try:
            for chunk in jobs.follow(name):
                sys.stdout.write(chunk)
                sys.stdout.flush()
        except KeyboardInterrupt:
            return DONE
        return _verdict(jobs.job(name))


def stop(
    sweep: Sweep,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="URL", help="Of the cluster it was submitted to."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Stop a sweep at its next rung; nothing that ended is lost, and it can go on.

    \b
    gansweep stop digits                                     runs on this machine
    gansweep stop digits --address http://127.0.0.1:8265     was submitted there
    """
    if address is None:
        return _stop_here(find_sweep(sweep, storage))
    from sweeps.jobs import jobs_at

    with jobs_at(address) as jobs:
        job = jobs.stop(sweep)
    typer.echo(f"{job.name}: {job.status.lower()}; submitting it again goes on")
    return DONE


def _stop_here(store: Store, limit_s: float = 60.0) -> int:
    process = holder(store.home)
    if process is None:
        from sweeps.lease import running

        other = None if store.is_local else running(store)
        right = (
            f"is run by {other}: stop it there" if other else "no process of this machine runs it"
        )
        raise ConfigError("SWEEP", store.name, right)
    os.kill(process, signal.SIGTERM)
    end = time.monotonic() + limit_s
    while holder(store.home) == process:
        if time.monotonic() > end:
            raise SweepFailure(f"{store.name}: process {process} has not stopped yet")
        time.sleep(0.2)
    typer.echo(f"{store.name}: stopped; {command('resume', store.address)} goes on")
    return DONE


def fetch(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="Its name.")],
    address: Url,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Gets the sweep's directory.")] = Path(
        DEFAULT_STORAGE
    ),
    python: Annotated[
        str, typer.Option(metavar="PROGRAM", help="The interpreter on the cluster's head.")
    ] = "python",
) -> int:
    """Bring a submitted sweep's results here, also while it runs.

    \b
    gansweep fetch digits --address http://127.0.0.1:8265
    gansweep report digits

    Fetching again replaces what was fetched. A sweep on an object store needs no fetching.
    """
    from sweeps.jobs import jobs_at
    from sweeps.parcel import unpack

    target = place_for(name, out)
    with jobs_at(address) as jobs:
        storage = jobs.job(name).storage
        if is_uri(storage):
            raise ConfigError("SWEEP", name, f"lies on an object store: {storage}/{name}")
        parcel = [python, "-m", "sweeps.parcel", f"{storage}/{name}"]
        job = f"{name}-fetch-{secrets.token_hex(4)}"
        text = jobs.output_of(parcel, job, _FETCHES_WITHIN_S)
    put_whole(target, address, lambda directory: unpack(text, directory))
    typer.echo(target)
    return DONE


def _when(job: Job) -> str:
    if job.began is None:
        return "-"
    return datetime.fromtimestamp(job.began).astimezone().strftime("%Y-%m-%d %H:%M")


def _took(job: Job) -> str:
    if job.began is None:
        return "-"
    seconds = (job.ended or time.time()) - job.began
    return f"{timedelta(seconds=round(seconds))}"
