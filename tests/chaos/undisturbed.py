"""What members of a sweep do when nothing happens to them: all in one process, from the start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator
from sweeps.assembly import assemble_cohort, assemble_dataset
from sweeps.config import SweepConfig
from sweeps.config_file import load_config
from sweeps.judging import judge_rung
from sweeps.members import gan_config
from sweeps.replay import replay
from sweeps.rows import Context, Progress, history_row

__all__ = ["undisturbed"]

TOGETHER = 64
"""Members in one cohort; how many they are changes no bit, as long as they are two or more."""

Rows = dict[tuple[int, int], list[dict[str, Any]]]


def undisturbed(config: Path, trials: pd.DataFrame, history: pd.DataFrame) -> Rows:
    """Trains every member of a sweep again.

    Args:
        config: its `sweep.toml`.
        trials: a row for each; its hyperparameters are taken, and the rung at which it ended.
        history: which of them was the only one in training at some rung.

    Returns:
        Rows of the history by (trial, seed).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sweep = load_config(config, check_files=False)
        lone = set(history.loc[history["members"] == 1, "seed"])
        rest = trials[~trials["seed"].isin(lone)]
        found: Rows = {}
        for begin in range(0, len(rest), TOGETHER):
            # One more beside, lest the last be alone.
            found |= _together(sweep, rest.iloc[begin : begin + TOGETHER], rest.iloc[:1])
        for _, row in trials[trials["seed"].isin(lone)].iterrows():
            found[row["trial"], row["seed"]] = list(_alone(sweep, row, history))
        return found
    finally:
        torch.set_num_threads(before)


def _together(sweep: SweepConfig, rows: pd.DataFrame, beside: pd.DataFrame) -> Rows:
    images = assemble_dataset(sweep, "cpu")
    evaluator = Evaluator(images, sweep.train.eval_images)
    cohort = assemble_cohort(
        sweep,
        images.sample_shape,
        classes=len(images.classes),
        slots=len(rows) + len(beside),
        device="cpu",
    )
    every = [row for frame in (rows, beside) for _, row in frame.iterrows()]
    members = cohort.admit([gan_config(row) for row in every])
    seen = [
        Progress(trial=int(row["trial"]), attempt=0, seed=int(row["seed"]), hyperparameters={})
        for row in every
    ]
    context = _context(sweep, evaluator)
    found: Rows = {(seed.trial, seed.seed): [] for seed in seen[: len(rows)]}
    left = list(zip(seen, members, strict=True))
    statistics: dict[int, dict[str, float]] = {index: {} for index in range(len(every))}
    order = {id(seed): index for index, seed in enumerate(seen)}
    for rung in range(sweep.train.steps // sweep.train.eval_every + 1):
        if rung:
            records = {r.member: r for r in run_interval(cohort, images, sweep.train.eval_every)}
            for seed, member in left:
                seed.rung, seed.step = rung, records[member].step
                seed.diverged_step = records[member].diverged_step
                statistics[order[id(seed)]] = records[member].statistics
        judge_rung(cohort, evaluator, left)
        for seed, _ in left:
            if order[id(seed)] < len(rows):
                row = history_row(context, seed, statistics[order[id(seed)]], 0.0)
                found[seed.trial, seed.seed].append(row)
        ended = [
            (seed, member)
            for seed, member in left
            if order[id(seed)] < len(rows)
            and (seed.diverged or seed.step >= rows.iloc[order[id(seed)]]["steps"])
        ]
        cohort.evict([member for _, member in ended])
        left = [pair for pair in left if pair not in ended]
    return found


def _alone(sweep: SweepConfig, row: pd.Series, history: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A member that was the only one in training for a while, which then rounds unlike others."""
    own = history[(history["trial"] == row["trial"]) & (history["seed"] == row["seed"])]
    beside = dict(zip(own["rung"].tolist(), own["members"].tolist(), strict=True))
    yield from replay(
        sweep,
        gan_config(row),
        rungs=int(own["rung"].max()),
        slots=lambda rung: min(2, beside[rung]),
        device="cpu",
    )


def _context(sweep: SweepConfig, evaluator: Evaluator) -> Context:
    return Context(
        sweep=sweep.name or "",
        worker="undisturbed",
        device="cpu",
        dataset=sweep.data.dataset,
        architecture=sweep.model.architecture,
        eval_images=evaluator.eval_images,
        slots=TOGETHER,
    )
