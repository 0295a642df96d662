"""How fast a cohort trains on one core, against one GAN at a time in an ordinary loop.

`python -m benchmarks.kernels [CASE ...] [--precision bfloat16] [--profile]`. Both run in one
process on one thread and take turns, so that whatever else loads the machine slows both: the ratio
counts, the rates do not.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig, Precision
from gan_core.data import Dataset, load_dataset
from gan_core.loop import run_interval
from gan_core.networks.catalog import build

__all__ = ["CASES", "Case", "cohort_runner", "ratio", "solo_runner"]

_REPEATS = 5
_SECONDS = 1.0  # of each repeat


@dataclass(frozen=True)
class Case:
    """Networks, data and members of one comparison."""

    dataset: str
    members: int
    generator_widths: tuple[int, ...]
    discriminator_widths: tuple[int, ...]
    latent_dim: int
    precision: Precision = Precision.FLOAT32
    """Of the cohort; the GAN alone is trained in float32."""

    @property
    def shared(self) -> CohortConfig:
        """What the cohort's members share, and the GAN alone has too."""
        return CohortConfig(
            generator_widths=self.generator_widths,
            discriminator_widths=self.discriminator_widths,
            latent_dim=self.latent_dim,
            precision=self.precision,
        )


CASES = {
    "digits": Case("digits", 32, (128, 128), (128, 128), 64),
    "ring8": Case("ring8", 32, (128, 128), (128, 128), 16),
    "mnist": Case("mnist", 16, (256, 512), (512, 256), 64),
}


def load(case: Case) -> Dataset:
    """The case's data in memory; of MNIST random images of its size, for nothing is learnt."""
    if case.dataset != "mnist":
        return load_dataset(case.dataset)
    images = torch.randint(256, (60_000, 1, 28, 28), dtype=torch.uint8)
    return Dataset("mnist", images, 255, None, ())


def solo_runner(case: Case, dataset: Dataset) -> Callable[[int], None]:
    """An ordinary loop over one GAN: modules, Adam, binary cross-entropy; all data in memory.

    Returns:
        What trains it by a number of steps.
    """
    config = case.shared
    G, D = build(config, case.latent_dim, dataset.sample_shape, seed=0)
    adam_g, adam_d = (
        torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999)) for player in (G, D)
    )
    samples = dataset.batch(torch.arange(len(dataset)))
    ones, zeros = torch.ones(config.batch_size), torch.zeros(config.batch_size)
    loss = binary_cross_entropy_with_logits

    def train(steps: int) -> None:
        for _ in range(steps):
            real = samples[torch.randint(len(samples), (config.batch_size,))]
            fake = G(torch.randn(config.batch_size, case.latent_dim))
            adam_d.zero_grad()
            (loss(D(real), ones) + loss(D(fake.detach()), zeros)).backward()
            adam_d.step()
            adam_g.zero_grad()
            loss(D(fake), ones).backward()
            adam_g.step()

    return train


def cohort_runner(case: Case, dataset: Dataset) -> Callable[[int], None]:
    """A full cohort of the same GAN with other rates and seeds.

    Returns:
        What trains all its members by a number of steps.
    """
    cohort = Cohort(case.shared, dataset.sample_shape, slots=case.members)
    rates = torch.logspace(-5, -3, case.members).tolist()
    cohort.admit(
        [
            GanConfig(seed=i, latent_dim=case.latent_dim, lr_g=rate, lr_d=rate)
            for i, rate in enumerate(rates)
        ]
    )

    def train(steps: int) -> None:
        run_interval(cohort, dataset, steps)

    return train


def ratio(case: Case, *, repeats: int = _REPEATS) -> tuple[float, float, float]:
    """Medians over repeats in which both take turns.

    Returns:
        Member-steps/s of the cohort, steps/s alone, and the ratio (the median of the repeats').
    """
    dataset = load(case)
    runners = [(cohort_runner(case, dataset), case.members), (solo_runner(case, dataset), 1)]
    steps = [_steps(train) for train, _ in runners]
    rates = [
        [
            n * members / _seconds(train, n)
            for (train, members), n in zip(runners, steps, strict=True)
        ]
        for _ in range(repeats)
    ]
    fused, alone = (statistics.median(column) for column in zip(*rates, strict=True))
    return fused, alone, statistics.median(a / b for a, b in rates)


def _steps(train: Callable[[int], None]) -> int:
    """How many fill a repeat, after a warm-up."""
    train(3)
    return max(1, round(_SECONDS * 5 / _seconds(train, 5)))


def _seconds(train: Callable[[int], None], steps: int) -> float:
    begin = time.process_time()
    train(steps)
    return time.process_time() - begin


def _profile(case: Case, *, steps: int = 20) -> str:
    train = cohort_runner(case, load(case))
    train(3)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        train(steps)
    return profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25)


def main() -> None:
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    parser.add_argument("--repeats", type=int, default=_REPEATS)
    parser.add_argument("--members", type=int, help="of the cohort, instead of the case's")
    parser.add_argument("--precision", type=Precision, default=Precision.FLOAT32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.cases:
        case = replace(CASES[name], precision=arguments.precision)
        case = replace(case, members=arguments.members or case.members)
        if arguments.profile:
            print(_profile(case))  # noqa: T201
            continue
        fused, alone, times = ratio(case, repeats=arguments.repeats)
        print(  # noqa: T201
            f"{name:8} K={case.members:3}  {fused:8.0f} member-steps/s  "
            f"solo {alone:6.0f} steps/s  {times:5.2f}x",
            flush=True,
        )


if __name__ == "__main__":
    main()
