"""The commands that run sweeps: init, run, resume, confirm."""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gan_core.config import ConfigError
from sweeps.attached import check_address
from sweeps.cli_arguments import (
    DEFAULT_STORAGE,
    DONE,
    INTERRUPTED,
    Storage,
    Sweep,
    out_console,
    stored,
)
from sweeps.cli_results import load_results, show_standing
from sweeps.config import SweepConfig
from sweeps.config_file import PRESETS, load_config, preset_text, to_toml
from sweeps.finding import choose_name, existing, find_sweep, list_sweeps, short_name
from sweeps.machine import this_machine
from sweeps.mistakes import SweepConfigError
from sweeps.naming import CONFIG_NAME, command
from sweeps.plan import Plan, plan
from sweeps.plan_table import plan_table
from sweeps.preflight import check_architecture

if TYPE_CHECKING:
    from sweeps.store import Store

__all__ = ["confirm", "init", "resume", "run"]

_FEWEST_SEEDS = 5  # below them a configuration cannot be called unstable: `analysis.seeds`

Name = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the sweep's directory.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="auto|HOST:PORT",
        callback=lambda given: given and check_address(given),
        help="Use a running Ray cluster that this machine is a node of.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the config and the plan; write nothing.")
]


def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="What to write.")] = Path(
        CONFIG_NAME
    ),
    preset: Annotated[
        str,
        typer.Option(
            metavar="|".join(PRESETS),
            help="Which config to begin with.",
            autocompletion=lambda: list(PRESETS),
        ),
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
    typer.echo(f"wrote {path}; {command('run', path, '--dry-run')} checks it")
    return DONE


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
    name: Name = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="DIR|URI", help="The directory for sweeps, or s3://BUCKET/PREFIX."),
    ] = None,
    address: Address = None,
    or_resume: Annotated[
        bool,
        typer.Option("--or-resume", help="Go on with the sweep of that name, if there is one."),
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Run a new sweep.

    \b
    gansweep run
    gansweep run sweep.toml --trials 16 --name first-try
    gansweep run --set space.lr_g=2e-4                            fix one
    gansweep run --set space.latent_dim='{low=8, high=64}'        search one
    gansweep run --set space.loss=hinge --set space.label_smoothing=
    gansweep run sweep.toml --address auto                        on the cluster that runs here

    A VALUE is read as TOML; what is none is text, and no value at all removes the key. The dry
    run prints a TOML that can be run itself.
    """
    options = {"search.trials": trials, "name": name, "storage": storage}
    given = {key: value for key, value in options.items() if value is not None}
    loaded = load_config(config, changes or (), options=given)
    if or_resume and not dry_run and loaded.name is not None:
        store = existing(loaded.storage, loaded.name)
        if store is not None:
            if store.has_config():
                _check_not_fewer(loaded.search.trials, stored(store))
            return _start(loaded, store=store, address=address)
    return _begin(loaded, dry_run, address)


def resume(
    sweep: Sweep,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Extend the sweep to N trials in all.")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Of its database, with a password that is not stored."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    address: Address = None,
) -> int:
    """Go on with a sweep that was stopped, or extend one that is done.

    \b
    gansweep resume digits
    gansweep resume runs/digits --trials 128
    gansweep resume s3://bucket/prefix/digits       also one that another machine began
    """
    store = find_sweep(sweep, storage)
    config = stored(store)
    # Where it lies now, and with credentials that no stored config has.
    options: dict[str, Any] = {} if store.is_local else {"storage": store.storage}
    if trials is not None:
        _check_not_fewer(trials, config)
        options["search.trials"] = trials
    if study is not None:
        options["study"] = study
    config = stored(store, options, check_files=True)
    return _start(config, store=store, address=address)


def _check_not_fewer(trials: int, config: SweepConfig) -> None:
    if trials < config.search.trials:
        right = f"must be >= {config.search.trials}, which the sweep has already"
        raise SweepConfigError("search.trials", trials, right, "--trials")


def confirm(
    sweep: Sweep,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many of the best.")] = 5,
    seeds: Annotated[int, typer.Option(metavar="N", help="Fresh seeds for each.")] = 10,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="train.steps, if not those of SWEEP.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the new sweep, if not SWEEP-confirm.")
    ] = None,
    dry_run: DryRun = False,
    storage: Storage = DEFAULT_STORAGE,
) -> int:
    """Train the best trials again, on fresh seeds: which hold up?

    \b
    gansweep confirm digits
    gansweep confirm digits --top 3 --seeds 20
    gansweep resume digits-confirm      goes on with it after Ctrl-C
    gansweep status digits-confirm      shows again what came of it

    The best of many trials owe it to luck too: what they scored says too much. The new sweep lies
    beside SWEEP and trains nothing but those configurations, on seeds that SWEEP never used. A
    configuration is unstable if training fails on more than a fifth of the seeds or they differ
    too much; else it holds up if what SWEEP said of it lies in the 95% interval of the
    interquartile mean over the fresh seeds, or is better or worse than said.
    """
    store = find_sweep(sweep, storage)
    if seeds < _FEWEST_SEEDS:
        right = f"must be >= {_FEWEST_SEEDS}: fewer cannot tell what is unstable"
        raise ConfigError("--seeds", seeds, right)
    options: dict[str, Any] = {"name": name or f"{store.name}-confirm"}
    options |= {} if steps is None else {"train.steps": steps}
    options["storage"] = store.storage
    choose_name(store.storage, options["name"], "")
    changes = _confirming(store, top=top, seeds=seeds)
    confirming = stored(store, changes | options, check_files=True)
    if not dry_run:
        _tell(confirming, store.name)
    return _begin(confirming, dry_run)


def _confirming(store: Store, *, top: int, seeds: int) -> dict[str, Any]:
    """What becomes of the config of the sweep."""
    from analysis.compare import leaderboard
    from sweeps.confirm import changes, fresh_seed, planned_seeds, winners

    config, loaded = stored(store), load_results(store)
    gans = winners(loaded.trials, leaderboard(loaded, len(loaded.trials))["trial"], top)
    if not gans:
        right = "no trial was trained to its end and is sound, yet"
        raise ConfigError("SWEEP", store.name, right)
    used = {*loaded.trials["seed"], *planned_seeds(config)}
    for other in _confirmations(store):
        used |= {*planned_seeds(other)}
    return changes(config, store.name, gans, seeds=seeds, seed=fresh_seed(used))


def _confirmations(store: Store) -> list[SweepConfig]:
    """Configs of the sweeps that confirm this one already."""
    found = []
    for name in list_sweeps(store.storage):
        with contextlib.suppress(ConfigError):  # a damaged one is no matter of this sweep's
            other = stored(find_sweep(name, store.storage))
            confirms = other.search.confirms
            found += [other] if confirms and confirms.sweep == store.name else []
    return found


def _tell(confirming: SweepConfig, sweep: str) -> None:
    from sweeps.confirm import planned_seeds

    confirms, seeds = confirming.search.confirms, planned_seeds(confirming)
    assert confirms is not None
    trials = ", ".join(map(str, confirms.trials))
    typer.echo(
        f"Training trials {trials} of {sweep} again with {confirming.train.seeds} seeds each, "
        f"of {seeds[0]} to {seeds[-1]}, none of which it used.",
        err=True,
    )


def _begin(config: SweepConfig, dry_run: bool, address: str | None = None) -> int:
    """Runs a new sweep, or shows what would run."""
    name = choose_name(config.storage, config.name, config.data.dataset)
    named = config.model_copy(update={"name": name})
    if address is not None and not dry_run:
        return _start(config, address=address)
    planned = _plan_there(named, address) if address else _plan_here(named)
    if not dry_run:
        return _start(config, planned)
    check_architecture(named)
    typer.echo(f"{to_toml(named)}\n{plan_table(named, planned)}")
    return DONE


def _plan_there(config: SweepConfig, address: str) -> Plan:
    """Looks at the cluster, and leaves it."""
    from sweeps.runner import plan_on_cluster

    return plan_on_cluster(config, address)


def _plan_here(config: SweepConfig) -> Plan:
    return plan(config, this_machine(config.resources.device))


def _start(
    config: SweepConfig,
    planned: Plan | None = None,
    store: Store | None = None,
    address: str | None = None,
) -> int:
    """Runs a sweep, a new one without a place yet, and shows what came of it."""
    from sweeps.runner import launch

    progress = Console(stderr=True)
    if address is None:
        planned = planned or _plan_here(config)
    store, status = launch(config, planned=planned, console=progress, store=store, address=address)
    show_standing(config, store)
    if not status.done:
        again = command("resume", store.address, *(["--address", address] if address else []))
        kept = len(store.kept_trials())
        training = f" with what is kept of {kept} trials in training" if kept else ""
        progress.print(f"Stopped; {again} goes on{training}.", soft_wrap=True)
        return INTERRUPTED
    hints = [f"{command('report', short_name(store))} makes a page of it"]
    if config.search.confirms is None:
        again = command("confirm", short_name(store))
        hints.append(f"{again} trains the best again, on fresh seeds")
    out_console().print(f"Next: {'; '.join(hints)}.", soft_wrap=True, highlight=False)
    return DONE
