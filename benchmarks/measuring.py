"""What judging costs beside training: `python -m benchmarks.measuring digits|mnist [--root DIR]`.

Trains one cohort of a preset in this process through all of its rungs, and judges it as a worker
does: at every rung, and once more at the end, pictures included. Prints the share of the CPU
seconds that is not training. Run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_core.config import GanConfig
from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator
from sweeps.assembly import assemble_cohort, assemble_dataset
from sweeps.config_file import load_config, preset_text
from sweeps.judging import judge_at_end, judge_rung, pictures
from sweeps.rows import Progress

__all__ = ["measure"]


def measure(preset: str, *, members: int, steps: int, root: str) -> dict[str, float]:
    """CPU seconds of `training`, `rungs`, `ends` and `pictures`.

    Args:
        preset: "digits" or "mnist".
        members: of the cohort.
        steps: of each, a multiple of the preset's eval_every.
        root: of the data.
    """
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        seconds[name] += time.process_time() - begin

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.toml"
        path.write_text(preset_text(preset))
        config = load_config(path, [f"data.root='{root}'"])
    dataset = assemble_dataset(config, "cpu")
    cohort = assemble_cohort(
        config, dataset.sample_shape, classes=len(dataset.classes), slots=members, device="cpu"
    )
    evaluator = Evaluator(dataset, config.train.eval_images)
    handles = cohort.admit([GanConfig(seed=seed, latent_dim=32) for seed in range(members)])
    seeds = [
        (Progress(trial=0, attempt=0, seed=member.config.seed, hyperparameters={}), member)
        for member in handles
    ]
    every = config.train.eval_every
    for _ in range(steps // every):
        with timed("training"):
            run_interval(cohort, dataset, every)
        with timed("rungs"):
            judge_rung(cohort, evaluator, seeds)
    with timed("ends"):
        judge_at_end(cohort, evaluator, seeds)
    with timed("pictures"):
        pictures(cohort, handles, dataset)
    return dict(seconds)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=("digits", "mnist"))
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--root", default="data", help="of the data")
    given = parser.parse_args()
    seconds = measure(given.preset, members=given.members, steps=given.steps, root=given.root)
    total = sum(seconds.values())
    for name, spent in seconds.items():
        print(f"{name:10} {spent:8.2f} s  {spent / total:6.1%}")  # noqa: T201
    print(f"judging    {1 - seconds['training'] / total:19.1%}")  # noqa: T201


if __name__ == "__main__":
    main()
