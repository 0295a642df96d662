"""The command line: reads arguments, answers mistakes in one line, leaves the work to others.

Torch, ray, optuna and pandas are imported by the commands that need them, once all is checked.
"""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gan_core.config import ConfigError
from sweeps.config import SweepConfig
from sweeps.config_file import PRESETS, load_config, preset_text, to_toml
from sweeps.import_path import pin_packages
from sweeps.mistakes import SweepConfigError, SweepFailure
from sweeps.naming import CONFIG_NAME, choose_name, find_sweep, list_sweeps
from sweeps.machine import this_machine
from sweeps.plan import Plan, plan
from sweeps.plan_table import plan_table
from sweeps.preflight import check_architecture
from sweeps.weights import kept_members

__all__ = ["app", "main"]

DONE, OURS, MISTAKE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

_LEADERS = 5  # trials in the closing table

# Typer carries click inside itself since 0.26 and has it beside itself before: this class is the
# same in both.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="gansweep",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Sweep = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's name, or its directory.")]
Storage = Annotated[
    str, typer.Option("--storage", metavar="DIR", help="Where SWEEP is looked for by name.")
]
Trial = Annotated[str, typer.Argument(metavar="TRIAL", help='A number, or "best".')]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="S", help="Of the trial; without it, its best.")
]


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
) -> None:
    """Hyperparameter sweeps for GANs: many GANs trained at once in one worker.

    \b
    Begin with these:
      gansweep run                        the six classic losses on small digits, no download
      gansweep init                       write sweep.toml, a config that explains itself
      gansweep run sweep.toml --dry-run   check it and show what would run
      gansweep run sweep.toml             run it; Ctrl-C stops, `gansweep resume` goes on
      gansweep status                     how far each sweep is
      gansweep export digits best         take the best GAN of the sweep named digits with you
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG", help="A TOML; without it, the preset digits."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Change a value. May be repeated."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="search.trials: how many to train.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the sweep's directory.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="DIR", help="The directory for sweeps.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the config and the plan; write nothing.")
    ] = False,
) -> int:
    """Run a new sweep.

    \b
    gansweep run
    gansweep run sweep.toml --trials 16 --name first-try
    gansweep run --set space.lr_g=2e-4                            fix one
    gansweep run --set space.latent_dim='{low=8, high=64}'        search one
    gansweep run --set space.loss=hinge --set space.label_smoothing=

    A VALUE is read as TOML; what is none is text, and no value at all removes the key. The dry
    run prints a TOML that can be run itself.
    """
    options = {"search.trials": trials, "name": name, "storage": storage}
    given = {key: value for key, value in options.items() if value is not None}
    loaded = load_config(config, changes or (), options=given)
    root = Path(loaded.storage).expanduser().absolute()
    chosen = choose_name(root, loaded.name, loaded.data.dataset)
    named = loaded.model_copy(update={"name": chosen})
    planned = plan(named, this_machine(named.resources.device))
    if dry_run:
        check_architecture(named)
        typer.echo(f"{to_toml(named)}\n{plan_table(named, planned)}")
        return DONE
    return _start(named, root / chosen, planned, resume=False)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="What to write.")] = Path(
        CONFIG_NAME
    ),
    preset: Annotated[
        str, typer.Option(metavar="|".join(PRESETS), help="Which config to begin with.")
    ] = PRESETS[0],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> int:
    """Write a config that explains itself.

    \b
    gansweep init
    gansweep init mnist.toml --preset mnist
    """
    text = preset_text(preset)
    if path.exists() and not (force and path.is_file()):
        right = "is there already: take another path" + ("" if force else ", or --force")
        raise ConfigError("PATH", str(path), right)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError("PATH", str(path), f"cannot be written: {error.strerror}") from None
    typer.echo(f"wrote {path}; `gansweep run {path} --dry-run` checks it")
    return DONE


@app.command()
def resume(
    sweep: Sweep,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Extend the sweep to N trials in all.")
    ] = None,
    storage: Storage = "runs",
) -> int:
    """Go on with a sweep that was stopped, or extend one that is done.

    \b
    gansweep resume digits
    gansweep resume runs/digits --trials 128
    """
    directory = find_sweep(sweep, Path(storage).expanduser())
    config = _stored(directory)
    if trials is not None:
        if trials < config.search.trials:
            right = f"must be >= {config.search.trials}, which the sweep has already"
            raise SweepConfigError("search.trials", trials, right, "--trials")
        config = _stored(directory, {"search.trials": trials}, check_files=True)
    else:
        config = _stored(directory, check_files=True)
    planned = plan(config, this_machine(config.resources.device))
    return _start(config, directory, planned, resume=True)


@app.command()
def status(
    sweep: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="A name or directory; without it, all.")
    ] = None,
    storage: Storage = "runs",
) -> int:
    """Show how far a sweep is and what is best so far, also while it runs.

    \b
    gansweep status
    gansweep status runs/digits
    """
    root = Path(storage).expanduser()
    names = list_sweeps(root) if sweep is None else [sweep]
    if not names:
        raise ConfigError("--storage", storage, "holds no sweep; `gansweep run` begins one")
    for directory in (find_sweep(name, root) for name in names):
        _show_standing(_stored(directory), directory)
    return DONE


@app.command()
def export(
    sweep: Sweep,
    trial: Trial,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="What to make.")] = None,
    storage: Storage = "runs",
) -> int:
    """Take a GAN out of a sweep, for plain PyTorch.

    \b
    gansweep export digits best
    gansweep export digits 12 --seed 25 --out mygan

    It is a directory of G.safetensors and D.safetensors (state dicts of plain modules),
    config.json (hyperparameters, and the modules as PyTorch prints them) and samples.png.
    """
    directory, _, member = _member(sweep, trial, seed, storage, with_weights=True)
    from sweeps.take_out import export as take_out

    typer.echo(take_out(directory, member, out))
    return DONE


@app.command()
def sample(
    sweep: Sweep,
    trial: Trial,
    seed: Seed = None,
    n: Annotated[int, typer.Option("--n", metavar="N", help="How many samples.")] = 64,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Go from one z to the next in each row.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="What to write.")] = None,
    storage: Storage = "runs",
) -> int:
    """Draw samples of a GAN.

    \b
    gansweep sample digits best
    gansweep sample digits 12 --seed 25 --n 256 --out grid.png
    gansweep sample digits best --interpolate       what lies between two samples

    The z are those that the GAN was judged by. A conditional GAN gets a row for each class.
    """
    directory, _, member = _member(sweep, trial, seed, storage, with_weights=True)
    from sweeps.take_out import draw

    typer.echo(draw(directory, member, out, n=n, between=interpolate))
    return DONE


@app.command()
def replay(
    sweep: Sweep,
    trial: Trial,
    seed: Seed = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Only the first N.")] = None,
    slots: Annotated[str, typer.Option(metavar="auto|same|N", help="Copies in lockstep.")] = "auto",
    storage: Storage = "runs",
) -> int:
    """Train a GAN again, and compare it with the record.

    \b
    gansweep replay digits best
    gansweep replay digits 12 --seed 25 --steps 200

    With the machine and the versions of the sweep it is the same bit for bit. Elsewhere rounding
    differs and training amplifies it: then the first rung is held to a tolerance; beyond it the
    exit code is 1. Kernels round by the number of GANs: "auto" trains as many copies as it takes.
    """
    directory, loaded, member = _member(sweep, trial, seed, storage, with_weights=False)
    config = _stored(directory, check_files=True)
    from sweeps.comparison import show as show_comparison
    from sweeps.replay import rerun

    comparison = rerun(config, directory, member, loaded.history, steps=steps, slots=slots)
    show_comparison(comparison, _console())
    return DONE if comparison.is_near else OURS


def _member(
    sweep: str, trial: str, seed: int | None, storage: str, *, with_weights: bool
) -> tuple[Path, Any, Any]:
    """The sweep's directory, the sweep, and the member's row."""
    from analysis.compare import leaderboard
    from analysis.load import load
    from sweeps.members import BEST, find_member

    directory = find_sweep(sweep, Path(storage).expanduser())
    objective, loaded = _stored(directory).search.objective, load(directory)
    leaders = leaderboard(loaded, 1)["trial"] if trial == BEST else ()
    best = next((int(number) for number in leaders), None)
    kept = kept_members(directory) if with_weights else None
    found = find_member(loaded.trials, trial, seed, best=best, objective=objective, kept=kept)
    return directory, loaded, found


def _show_standing(config: SweepConfig, directory: Path) -> None:
    """Judges what is there and prints it."""
    from analysis.compare import failure_rate, leaderboard
    from analysis.load import load
    from analysis.verdict import judge
    from sweeps.closing import Standing, show, write_best

    sweep = load(directory)
    verdicts, leaders = judge(sweep), leaderboard(sweep, _LEADERS)
    write_best(leaders, sweep.samples, directory)
    real = sweep.control.loc[sweep.control["kind"] == "real", config.search.objective]
    standing = Standing(
        config=config,
        directory=directory,
        trials=sweep.trials,
        verdicts=verdicts,
        failures=failure_rate(verdicts),
        leaders=leaders,
        real=None if real.empty else float(real.iloc[0]),
    )
    show(standing, _console())


def _console() -> Console:
    # What is piped into a file has no width of its own: 120 leaves the tables in one piece.
    return Console(width=None if sys.stdout.isatty() else 120)


def _stored(
    directory: Path, options: dict[str, Any] | None = None, *, check_files: bool = False
) -> SweepConfig:
    path = directory / CONFIG_NAME
    return load_config(path, options=options, check_files=check_files)


def _start(config: SweepConfig, directory: Path, planned: Plan, *, resume: bool) -> int:
    from sweeps.runner import launch

    console = Console(stderr=True)
    status = launch(config, directory=directory, planned=planned, resume=resume, console=console)
    _show_standing(config, directory)
    if status.done:
        return DONE
    console.print(f"Stopped; `gansweep resume {directory}` goes on.", soft_wrap=True)
    return INTERRUPTED
