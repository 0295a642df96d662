"""The commands that look at what sweeps left: status, report, export, sample, fid, replay."""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gan_core.config import ConfigError
from sweeps.cli_arguments import (
    DEFAULT_STORAGE,
    DONE,
    OURS,
    Seed,
    Storage,
    Sweep,
    Trial,
    known_sweeps,
    out_console,
    stored,
)
from sweeps.cli_cluster import show_job
from sweeps.config import SweepConfig
from sweeps.finding import find_sweep, list_sweeps
from sweeps.mistakes import SweepFailure
from sweeps.uri import child, shown

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.store import Store

__all__ = ["export", "fid", "replay", "report", "sample", "show_standing", "status"]

_LEADERS = 5  # trials in the closing table


def status(
    sweep: Annotated[
        str | None,
        typer.Argument(
            metavar="SWEEP",
            help="A name, directory or URI; without it, all.",
            autocompletion=known_sweeps,
        ),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="URL", help="Of a cluster it was submitted to."),
    ] = None,
) -> int:
    """Show how far a sweep is and what is best, also while it runs.

    \b
    gansweep status
    gansweep status runs/digits
    gansweep status digits --address http://127.0.0.1:8265
    """
    if address is not None:
        return show_job(sweep, address)
    names = list_sweeps(storage) if sweep is None else [sweep]
    if not names:
        right = "holds no sweep; `gansweep run` begins one"
        raise ConfigError("--storage", shown(storage), right)
    if sweep is not None:
        store = find_sweep(sweep, storage)
        show_standing(stored(store), store)
        return DONE
    could = [_show_one_of_many(storage, name) for name in names]
    return DONE if all(could) else OURS


def _show_one_of_many(storage: str, name: str) -> bool:
    """Whether it could be shown: one damaged sweep must not hide the others."""
    try:
        store = find_sweep(name, storage)
        show_standing(stored(store), store)
    except (ConfigError, SweepFailure) as error:
        typer.echo(f"gansweep: {name}: {' '.join(str(error).split())}", err=True)
        return False
    return True


def report(
    sweep: Sweep,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What to write, if not report.html in the sweep's."),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the plots there too, for papers.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write again as the sweep goes on, until it is done.")
    ] = False,
    every: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, help="How often at most, with --watch.")
    ] = 30,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Make a page of a sweep: one HTML file that needs no network.

    \b
    gansweep report digits
    gansweep report digits --open
    gansweep report digits --watch --every 60     while it runs; the page follows by itself
    gansweep report digits --out digits.html --figures figures

    Ctrl-C ends --watch and leaves the page as it is. The page of a sweep in an object store is
    written here, as SWEEP-report.html.
    """
    from sweeps.watching import each_change

    store = find_sweep(sweep, storage)
    out = out or (None if store.is_local else Path(f"{store.name}-report.html"))
    try:
        for number, _ in enumerate(each_change(store, every)):
            path, done = _write_page(store, out, figures, every if watch else None)
            if number == 0:
                typer.echo(path)
                if show:
                    typer.launch(str(path))
            if done or not watch:
                break
    except KeyboardInterrupt:
        if not watch:  # of which it is the ordinary end
            raise
    return DONE


def _write_page(
    store: Store, out: Path | None, figures: Path | None, refresh_s: int | None
) -> tuple[Path, bool]:
    """Writes what there is: the page, and whether the sweep is done, so that it is the last."""
    from analysis.report import write_figures, write_report
    from sweeps.watching import is_running

    # A run has the last word after its last trial.
    runs, sweep = is_running(store), load_results(store)
    ended = sweep.trials["trial"].nunique() >= stored(store).search.trials
    done = ended and not runs
    with _refused_as("--out", out or store.home):
        path = write_report(sweep, out, refresh_s=None if done else refresh_s)
    if figures is not None:
        with _refused_as("--figures", figures):
            write_figures(sweep, figures)
    return Path(path), done


@contextlib.contextmanager
def _refused_as(option: str, given: Path) -> Iterator[None]:
    """What cannot be written is the mistake of whoever chose the place."""
    try:
        yield
    except OSError as error:
        right = f"cannot be written: {error.strerror or error}"
        raise ConfigError(option, str(given), right) from None


def export(
    sweep: Sweep,
    trial: Trial,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="What to make.")] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Take a GAN out of a sweep, for plain PyTorch.

    \b
    gansweep export digits best
    gansweep export digits 12 --seed 25 --out mygan

    It is a directory of G.safetensors and D.safetensors (state dicts of plain modules),
    config.json (hyperparameters, and the modules as PyTorch prints them) and samples.png.
    """
    store, _, member = _member(sweep, trial, seed, storage, with_weights=True)
    from sweeps.take_out import export as take_out

    typer.echo(take_out(store, member, out))
    return DONE


def sample(
    sweep: Sweep,
    trial: Trial,
    seed: Seed = None,
    n: Annotated[int, typer.Option("--n", metavar="N", help="How many samples.")] = 64,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Go from one z to the next in each row.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="What to write.")] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Draw samples of a GAN.

    \b
    gansweep sample digits best
    gansweep sample digits 12 --seed 25 --n 256 --out grid.png
    gansweep sample digits best --interpolate       what lies between two samples

    The z are those that the GAN was judged by. A conditional GAN gets a row for each class.
    """
    store, _, member = _member(sweep, trial, seed, storage, with_weights=True)
    from sweeps.take_out import draw

    typer.echo(draw(store, member, out, n=n, between=interpolate))
    return DONE


def fid(
    sweep: Sweep,
    trial: Trial,
    seed: Seed = None,
    n: Annotated[int, typer.Option("--n", metavar="N", help="Samples, and real images.")] = 10_000,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Inception's; without it they are fetched once, 96 MB."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Measure a GAN's FID, the number that papers report.

    \b
    gansweep fid digits best
    gansweep fid digits 12 --seed 25 --n 50000
    gansweep fid digits best --weights weights-inception-2015-12-05-6726825d.pth     offline

    It is the Frechet distance between N samples and N real images that the GAN could train on,
    or all if there are fewer, in the features of the Inception v3 of 2015, as torch-fidelity has
    them: pip install "gansweep[inception]". No sweep needs it.

    It is not the frechet_distance of a sweep, whose features are another network's. It is too
    high, the more so the fewer images: compare it at the same N alone, with real images of the
    same split. Inception learnt photographs; of digits it sees little. It runs on a GPU where
    there is one; on a CPU 10,000 samples may take an hour or more.
    """
    store, _, member = _member(sweep, trial, seed, storage, with_weights=True)
    config = stored(store, check_files=True)
    from sweeps.fid import measure

    for line in measure(config, store, member, n=n, weights=weights):
        typer.echo(line)
    return DONE


def replay(
    sweep: Sweep,
    trial: Trial,
    seed: Seed = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Only the first N.")] = None,
    slots: Annotated[str, typer.Option(metavar="auto|same|N", help="Copies in lockstep.")] = "auto",
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Train a GAN again, and compare it with the record.

    \b
    gansweep replay digits best
    gansweep replay digits 12 --seed 25 --steps 200

    With the machine and the versions of the sweep it is the same bit for bit. Elsewhere rounding
    differs and training amplifies it: then the first rung is held to a tolerance; beyond it the
    exit code is 1. Kernels round by the number of GANs: "auto" trains as many copies as it takes.
    """
    store, loaded, member = _member(sweep, trial, seed, storage, with_weights=False)
    config = stored(store, check_files=True)
    from sweeps.comparison import show as show_comparison
    from sweeps.replay import rerun

    comparison = rerun(config, store, member, loaded.history, steps=steps, slots=slots)
    show_comparison(comparison, out_console())
    return DONE if comparison.is_near else OURS


def _member(
    sweep: str, trial: str, seed: int | None, storage: str, *, with_weights: bool
) -> tuple[Store, Any, Any]:
    """Where the sweep is, the sweep, and the member's row."""
    from analysis.compare import leaderboard
    from sweeps.members import BEST, find_member

    store = find_sweep(sweep, storage)
    objective, loaded = stored(store).search.objective, load_results(store)
    leaders = leaderboard(loaded, 1)["trial"] if trial == BEST else ()
    best = next((int(number) for number in leaders), None)
    kept = store.kept_members() if with_weights else None
    found = find_member(loaded.trials, trial, seed, best=best, objective=objective, kept=kept)
    return store, loaded, found


def load_results(store: Store) -> Any:
    """`analysis.load`; what cannot be read is one line.

    Raises:
        SweepFailure: a part is damaged, or the storage cannot be read.
        FileNotFoundError: there is no sweep.
    """
    from analysis.load import load
    from analysis.parts import PartError, SchemaVersionError

    try:
        return load(store.uri)
    except (PartError, SchemaVersionError) as error:
        raise SweepFailure(str(error)) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        if store.is_local:
            raise
        raise SweepFailure(str(error)) from None


def show_standing(config: SweepConfig, store: Store) -> None:
    """Judges what is there and prints it."""
    from analysis.compare import failure_rate, leaderboard
    from analysis.verdict import judge
    from sweeps.closing import Standing, show, write_best

    sweep = load_results(store)
    verdicts, leaders = judge(sweep), leaderboard(sweep, _LEADERS)
    if not store.is_local:
        with contextlib.suppress(OSError):
            store.home.mkdir(parents=True, exist_ok=True)
    write_best(leaders, sweep.samples, store.home)
    real = sweep.control.loc[sweep.control["kind"] == "real", config.search.objective]
    standing = Standing(
        config=config,
        store=store,
        trials=sweep.trials,
        verdicts=verdicts,
        failures=failure_rate(verdicts),
        leaders=leaders,
        real=None if real.empty else float(real.iloc[0]),
        confirmed=_confirmed(config, store, sweep, verdicts),
    )
    show(standing, out_console())


def _confirmed(
    config: SweepConfig, store: Store, again: Any, verdicts: pd.DataFrame
) -> pd.DataFrame | None:
    """What came of a sweep that confirms another, if that is still beside it."""
    from analysis.confirm import confirmed
    from sweeps.store import Store

    confirms = config.search.confirms
    if confirms is None:
        return None
    try:
        beside = Store(child(store.storage, confirms.sweep))
        return confirmed(load_results(beside), again, verdicts)
    except FileNotFoundError:
        return None
