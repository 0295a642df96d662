"""The command that gives a sweep's trials to an experiment tracker."""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli_arguments import DEFAULT_STORAGE, DONE, Storage, Sweep, stored
from sweeps.cli_results import load_results
from sweeps.finding import find_sweep
from sweeps.mistakes import SweepFailure

if TYPE_CHECKING:
    from analysis.trackers import Tracker
    from sweeps.store import Store

__all__ = ["To", "track"]


class To(StrEnum):
    """The trackers."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    WANDB = "wandb"


def track(
    sweep: Sweep,
    to: Annotated[To, typer.Option("--to", help="The tracker.", show_choices=True)],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of files: ./tensorboard or wandb's ./ by default."),
    ] = None,
    uri: Annotated[
        str | None,
        typer.Option("--uri", metavar="URI", help="MLflow's, if not MLFLOW_TRACKING_URI."),
    ] = None,
    project: Annotated[str, typer.Option(metavar="NAME", help="wandb's.")] = "gansweep",
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on as trials end, until the sweep is done.")
    ] = False,
    every: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, help="How often at most, with --watch.")
    ] = 30,
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Give the trials that have ended to a tracker, each as a run.

    \b
    gansweep track digits --to tensorboard && tensorboard --logdir tensorboard
    gansweep track digits --to mlflow --uri http://mlflow:5000 --watch
    WANDB_MODE=offline gansweep track digits --to wandb

    A run has the hyperparameters, the curves of every seed, final metrics, verdicts and samples.
    Doing it again adds only what is new. It reads what the sweep wrote, so no training waits for
    it. Each tracker is an extra: pip install "gansweep[tensorboard]", [mlflow] or [wandb].
    """
    store = find_sweep(sweep, storage)
    from analysis.trackers import TrackerError
    from sweeps.watching import each_change

    try:
        tracker = _tracker(to, out, uri, project)
        for _ in each_change(store, every):
            done = _add(store, tracker, to)
            if done or not watch:
                break
    except TrackerError as error:
        raise SweepFailure(str(error)) from None
    except KeyboardInterrupt:
        if not watch:  # of which it is the ordinary end
            raise
    return DONE


def _tracker(to: To, out: Path | None, uri: str | None, project: str) -> Tracker:
    from analysis.trackers import MLflowTracker, TensorBoardTracker, WandbTracker

    makers: dict[To, Callable[[], Tracker]] = {
        To.TENSORBOARD: lambda: TensorBoardTracker(out or Path("tensorboard")),
        To.MLFLOW: lambda: MLflowTracker(uri),
        To.WANDB: lambda: WandbTracker(out or Path(), project),
    }
    return makers[to]()


def _add(store: Store, tracker: Tracker, to: To) -> bool:
    """Adds what is new; whether the sweep is done, so that nothing more will come."""
    from rich.console import Console
    from rich.progress import Progress

    from analysis.trackers import track as give
    from sweeps.watching import is_running

    # A run has the last word after its last trial.
    runs, sweep = is_running(store), load_results(store)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"to {to}")
        added = give(sweep, tracker, seen=lambda n, of: bar.update(task, completed=n, total=of))
    ended = sweep.trials["trial"].nunique()
    typer.echo(f"{sweep.name}: {added} trials added to {to}; it has {ended}")
    return bool(ended >= stored(store).search.trials and not runs)
