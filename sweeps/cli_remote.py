"""The commands that speak to a service elsewhere: `gansweep --server URL COMMAND`."""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sweeps.cli_arguments import DEFAULT_STORAGE, DONE, OURS, out_console
from sweeps.config_file import load_config, to_toml
from sweeps.fetched import place_for, put_whole
from sweeps.mistakes import SweepFailure
from sweeps.service.client import Client

__all__ = ["remote"]

Sweep = Annotated[str, typer.Argument(metavar="SWEEP", help="Its name.")]

remote = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
"""The commands, whose context holds the URL of the service."""


def _client(context: typer.Context) -> Client:
    return Client(str(context.obj))


@remote.command()
def submit(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Change a value. May be repeated."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="search.trials: how many to train.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the sweep.")] = None,
) -> int:
    """Begin a sweep there.

    \b
    gansweep --server URL submit sweep.toml --name first --trials 16

    Submitting again by a name does nothing while the sweep runs or when it is done, and goes on
    with one that was stopped or failed.
    """
    options = {"search.trials": trials, "name": name}
    given = {key: value for key, value in options.items() if value is not None}
    loaded = load_config(config, changes or (), options=given, check_files=False)
    # The service has a storage of its own.
    here = loaded.model_copy(update={"storage": DEFAULT_STORAGE})
    sweep, is_new = _client(context).submit(to_toml(here))
    typer.echo(f"{sweep['name']} {'was submitted' if is_new else 'is ' + sweep['state']}")
    return DONE


@remote.command("list")
def list_sweeps(context: typer.Context) -> int:
    """List the sweeps that are there."""
    known = _client(context).sweeps().to_dict("records")
    table = Table(box=None)
    for column in ("sweep", "state", "trials", "best", "dataset"):
        table.add_column(column, overflow="fold")
    for sweep in known:
        best = sweep["best_value"]
        table.add_row(
            sweep["name"],
            sweep["state"],
            f"{sweep['ended']}/{sweep['trials']}",
            "-" if best is None or best != best else f"{best:.4g}",
            sweep["dataset"],
        )
    out_console().print(table if known else "There is no sweep.")
    return DONE


@remote.command()
def status(
    context: typer.Context,
    sweep: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="Its name; without it, all.")
    ] = None,
) -> int:
    """Show how far a sweep is."""
    if sweep is None:
        return list_sweeps(context)
    state = _client(context).status(sweep)
    typer.echo(_line(state))
    return OURS if state["state"] == "failed" else DONE


@remote.command()
def watch(
    context: typer.Context,
    sweep: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="Its name; without it, all.")
    ] = None,
) -> int:
    """Show what happens to a sweep until it runs no more; Ctrl-C leaves it alone."""
    over = ("stopped", "done", "failed", "unreadable")
    try:
        for kind, state in _client(context).events(sweep):
            if kind == "deleted":
                typer.echo(f"{state['name']}: deleted")
                continue
            typer.echo(_line(state))
            if sweep is not None and state["state"] in over:
                return OURS if state["state"] == "failed" else DONE
    except KeyboardInterrupt:
        return DONE
    raise SweepFailure("the service has ended; the sweep goes on")


@remote.command()
def stop(context: typer.Context, sweep: Sweep) -> int:
    """Stop a sweep at its next rung; it can go on."""
    return _told(_client(context).stop(sweep), "is asked to stop")


@remote.command()
def resume(
    context: typer.Context,
    sweep: Sweep,
    more: Annotated[
        int, typer.Option("--more-trials", metavar="N", min=0, help="Extend it by N trials.")
    ] = 0,
) -> int:
    """Go on with a sweep that was stopped or failed, or extend it."""
    client = _client(context)
    return _told(client.extend(sweep, more) if more else client.resume(sweep), "goes on")


@remote.command()
def logs(context: typer.Context, sweep: Sweep) -> int:
    """Show what a sweep has printed."""
    sys.stdout.write(_client(context).logs(sweep))
    return DONE


@remote.command()
def delete(
    context: typer.Context,
    sweep: Sweep,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Delete a sweep with all its results."""
    if not yes:
        typer.confirm(f"Delete {sweep} with all its results?", abort=True)
    _client(context).delete(sweep)
    typer.echo(f"{sweep}: deleted")
    return DONE


@remote.command()
def fetch(
    context: typer.Context,
    sweep: Sweep,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Gets the sweep's directory.")] = Path(
        DEFAULT_STORAGE
    ),
) -> int:
    """Bring a sweep's results here, also while it runs; again replaces them."""
    client = _client(context)
    target = place_for(sweep, out)
    client.status(sweep)  # nothing is made for a sweep that is not there
    put_whole(target, client.url, lambda directory: client.fetch(sweep, directory))
    typer.echo(target)
    return DONE


def _told(state: Mapping[str, Any], what: str) -> int:
    typer.echo(f"{state['name']} {what}")
    return DONE


def _line(state: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{n} {name}" for name, n in state["counts"].items() if n)
    best = state["best_value"]
    parts = [
        f"{state['name']}: {state['state']}",
        f"{state['ended']} of {state['trials']} trials",
        *([counts] if counts else []),
        *([f"{state['in_training']} in training"] if state["in_training"] else []),
        *([f"best {best:.4g} (trial {state['best_trial']})"] if best is not None else []),
        *([state["message"]] if state["message"] else []),
    ]
    return ", ".join(parts)
