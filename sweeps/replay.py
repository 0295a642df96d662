"""Trains one member of a sweep again from its (configuration, seed), to hold beside the record.

A cohort of one rounds unlike a cohort of many, for other kernels run; from two members on the
CPU's round alike whatever the number and whoever the others are. So the member is trained beside
copies of itself, as many as change a bit: then the replay is bitwise what the sweep recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress

from gan_core.cohort import Cohort, Member
from gan_core.config import ConfigError, GanConfig
from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator
from sweeps.assembly import assemble_cohort, assemble_dataset
from sweeps.comparison import Comparison, compare
from sweeps.config import SweepConfig
from sweeps.import_path import append_user_directory
from sweeps.judging import judge_rung
from sweeps.members import described, gan_config
from sweeps.rows import Context, history_row
from sweeps.rows import Progress as MemberProgress
from sweeps.store import Store, TableName

__all__ = ["AUTO", "SAME", "members_beside", "replay", "rerun"]

AUTO, SAME = "auto", "same"
"""How a person names the members in lockstep, see `rerun`."""

_ENOUGH_ON_A_CPU = 2


def members_beside(store: Store, member: pd.Series) -> dict[int, int]:
    """How many members trained in lockstep at each interval of this one, itself included.

    Its rows say so. Of older ones their parts tell: a worker wrote one at a rung, with a row for
    each member that was in training or, at a member's rung 0, was judged beside it.

    Args:
        store: of the sweep.
        member: its row in the table of trials.

    Returns:
        By rung.
    """
    keys = ["trial", "seed", "attempt"]
    wanted = [member[name] for name in keys]
    beside: dict[int, int] = {}
    for part in store.parts(TableName.HISTORY):
        columns = [*keys, "rung", "members"]
        rows = store.read_part(TableName.HISTORY, part, columns).to_pylist()
        own = [row for row in rows if [row[name] for name in keys] == wanted]
        beside |= {row["rung"]: row.get("members") or len(rows) for row in own}
    return beside


def rerun(
    config: SweepConfig,
    store: Store,
    member: pd.Series,
    history: pd.DataFrame,
    *,
    steps: int | None = None,
    slots: str = AUTO,
) -> Comparison:
    """Replays a member, with a progress bar on stderr, and compares it with the record.

    Args:
        config: of the sweep.
        store: of the sweep.
        member: its row in the table of trials.
        history: of the sweep, from `analysis.load`.
        steps: G updates; None takes all that are recorded.
        slots: how many members train in lockstep: a number, `SAME`, as in the sweep, or `AUTO`,
            as in the sweep as far as that changes a bit.

    Raises:
        ConfigError: nothing was recorded, `steps` is not one of its rungs, or `slots` is none of
            these.
    """
    own = history[(history["trial"] == member["trial"]) & (history["seed"] == member["seed"])]
    rungs = _rungs(config.train.eval_every, own, member, steps)
    device = "cuda" if member["device"] == "cuda" and torch.cuda.is_available() else "cpu"
    count = _slots(slots, members_beside(store, member), device)
    append_user_directory()  # an architecture of the user's own
    rows = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(described(member), total=rungs + 1)
        for row in replay(config, gan_config(member), rungs=rungs, slots=count, device=device):
            rows.append(row)
            progress.advance(task)
    return compare(own[own["rung"] <= rungs], rows, member=described(member))


def _rungs(every: int, recorded: pd.DataFrame, member: pd.Series, steps: int | None) -> int:
    last = int(recorded["rung"].max()) if len(recorded) else 0
    if not last:
        right = f"{member['status']} before its first rung: there is nothing to compare with"
        raise ConfigError("TRIAL", int(member["trial"]), right)
    if steps is None:
        return last
    if steps < 1 or steps % every or steps > last * every:
        right = f"must be a multiple of train.eval_every = {every} and at most {last * every}"
        raise ConfigError("--steps", steps, f"{right}, which was recorded")
    return steps // every


def _slots(given: str, beside: Mapping[int, int], device: str) -> Callable[[int], int]:
    if given.isdecimal() and int(given) >= 1:
        return lambda rung: int(given)
    if given not in (AUTO, SAME):
        right = f'must be "{AUTO}", "{SAME}" or a whole number >= 1'
        raise ConfigError("--slots", given, right)
    most = _ENOUGH_ON_A_CPU if given == AUTO and device == "cpu" else math.inf
    return lambda rung: int(min(beside.get(rung, _ENOUGH_ON_A_CPU), most))


def replay(
    config: SweepConfig,
    gan: GanConfig,
    *,
    rungs: int,
    slots: Callable[[int], int],
    device: str,
) -> Iterator[dict[str, Any]]:
    """Trains the member, in one thread as the sweep's workers do.

    Args:
        config: of the sweep.
        gan: the member's.
        rungs: of `train.eval_every` G updates each; fewer are made if it diverges.
        slots: how many members to train in lockstep by rung, copies of it; >= 1.
        device: "cpu" or "cuda".

    Yields:
        At each rung, from 0, its row of the history, see `analysis.schema.HISTORY`.

    Raises:
        ConfigError: the dataset or the architecture cannot be had.
    """
    torch.set_num_threads(1)
    train = config.train
    images = assemble_dataset(config, device)
    evaluator = Evaluator(images, train.eval_images)
    most = max(slots(rung) for rung in range(rungs + 1))
    classes = len(images.classes)
    cohort = assemble_cohort(
        config, images.sample_shape, classes=classes, slots=most, device=device
    )
    (member,) = cohort.admit([gan])
    context = Context(
        sweep=config.name or "",
        worker="replay",
        device=device,
        dataset=config.data.dataset,
        architecture=config.model.architecture,
        eval_images=evaluator.eval_images,
        slots=most,
    )
    seen = _unseen(gan)
    statistics: dict[str, float] = {}
    for rung in range(rungs + 1):
        _set_copies(cohort, member, slots(rung) - 1)
        if rung:
            records = run_interval(cohort, images, train.eval_every)
            record = next(record for record in records if record.member is member)
            statistics, seen.step = record.statistics, record.step
            seen.diverged_step, seen.rung = record.diverged_step, rung
        beside = [(_unseen(gan), copy) for copy in _copies(cohort, member)]
        judge_rung(cohort, evaluator, [(seen, member), *beside])
        yield history_row(context, seen, statistics, 0.0)
        if seen.diverged:
            return


def _unseen(gan: GanConfig) -> MemberProgress:
    return MemberProgress(trial=0, attempt=0, seed=gan.seed, hyperparameters={})


def _copies(cohort: Cohort, member: Member) -> list[Member]:
    return [other for other in cohort.members if other is not member]


def _set_copies(cohort: Cohort, member: Member, wanted: int) -> None:
    """Lets so many copies train beside the member; they are as old as they happen to be."""
    copies = _copies(cohort, member)
    cohort.evict(copies[wanted:])
    cohort.admit([member.config] * (wanted - len(copies)))
