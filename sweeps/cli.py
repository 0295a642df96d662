"""The command line: which commands there are, and how their mistakes are answered in one line.

The commands read arguments and leave the work to others. Torch, ray, optuna and pandas are
imported by those that need them, once all is checked.
"""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gan_core.config import ConfigError
from sweeps.cli_arguments import CLUSTER, DONE, INTERRUPTED, MISTAKE, OURS, RESULTS, SWEEP
from sweeps.cli_cluster import fetch, list_submitted, logs, stop, submit
from sweeps.cli_remote import remote
from sweeps.cli_results import export, fid, replay, report, sample, status
from sweeps.cli_service import serve
from sweeps.cli_sweep import confirm, init, resume, run
from sweeps.cli_track import track
from sweeps.import_path import pin_packages
from sweeps.mistakes import SweepFailure

__all__ = ["app", "main"]

# Typer carries click inside itself since 0.26 and has it beside itself before: this class is the
# same in both.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class _UnderHeadings(TyperGroup):
    """Lists the commands in the help under the headings that they were given.

    With `--server` the commands are others of the same names, which speak to a service.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, None if there is none."""
        if ctx.params.get("server") is None:
            return super().get_command(ctx, cmd_name)
        there: Any = typer.main.get_command(remote)
        found = there.get_command(ctx, cmd_name)
        if found is None:
            right = "a service has no such command: without --server it runs here"
            raise ConfigError("COMMAND", cmd_name, right)
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes them."""
        width = max(len(name) for name in self.commands)
        limit = formatter.width - 6 - width
        for heading, commands in groupby(self.commands.items(), _heading):
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), c.get_short_help_str(limit)) for name, c in commands]
                )


def _heading(named: tuple[str, Any]) -> str:
    return str(named[1].rich_help_panel)


app = typer.Typer(
    name="gansweep",
    cls=_UnderHeadings,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: its arguments; those of the process by default.

    Returns:
        0 done, 1 the sweep failed, 2 the user's mistake, 130 interrupted. What is our fault is
        raised, for which Python exits with 1.
    """
    # A user's own `analysis.py` beside the config must not be taken for ours.
    pin_packages()
    try:
        code = app(args=argv, prog_name="gansweep", standalone_mode=False)
    except ConfigError as error:
        return _refuse(f"{error}")
    except _UsageError as error:
        return _refuse(f"{_usage(error)}; see --help")
    except SweepFailure as error:
        typer.echo(f"gansweep: {error}", err=True)
        return OURS
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


def _refuse(message: str) -> int:
    typer.echo(f"gansweep: {' '.join(message.split())}", err=True)
    return MISTAKE


def _usage(error: Any) -> str:
    return str(error.format_message()).rstrip(".")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"gansweep {version('gansweep')}")
        except PackageNotFoundError:
            typer.echo("gansweep, not installed: run from its source")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def gansweep(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Ask a service (its link, or with GANSWEEP_TOKEN): submit, list, status, watch, "
            "stop, resume, logs, fetch, delete.",
        ),
    ] = None,
) -> None:
    """Hyperparameter sweeps for GANs: many GANs trained at once in one worker.

    \b
    Begin with these:
      gansweep run                        the six classic losses on small digits, no download
      gansweep init                       write sweep.toml, a config that explains itself
      gansweep run sweep.toml --dry-run   check it and show what would run
      gansweep run sweep.toml             run it; Ctrl-C stops, `gansweep resume` goes on
      gansweep status                     how far each sweep is
      gansweep report digits --watch      a page that shows the sweep named digits, as it runs
      gansweep confirm digits             see on fresh seeds whether its best are as good as said
      gansweep export digits best         take its best GAN with you
      gansweep serve                      sweeps in a browser; --server URL asks such a service
    """
    context.obj = server
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_COMMANDS: dict[str, tuple[Callable[..., int], ...]] = {
    SWEEP: (init, run, resume, stop, confirm),
    RESULTS: (status, report, export, sample, fid, replay, track),
    CLUSTER: (submit, logs, list_submitted, fetch, serve),
}
_NAMES = {list_submitted: "list"}  # where a function cannot bear the command's name
for _panel, _commands in _COMMANDS.items():
    for _command in _commands:
        app.command(_NAMES.get(_command), rich_help_panel=_panel)(_command)
