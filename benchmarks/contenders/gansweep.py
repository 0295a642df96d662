"""gansweep: a cohort in this process, and `gansweep run` as a whole."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.searching import SPACE, Search

if TYPE_CHECKING:
    from benchmarks.cases import Case
    from gan_core.data import Dataset

__all__ = ["CohortRunner", "command", "config_text"]


class CohortRunner:
    """A full cohort of the case's GAN, with rates and seeds of their own.

    Args:
        case: its networks.
        dataset: on the device where they train.
        members: how many.
        precision: a `gan_core.config.Precision`.

    Attributes:
        cohort: theirs.
    """

    def __init__(
        self, case: Case, dataset: Dataset, members: int, precision: str = "float32"
    ) -> None:
        import torch

        from gan_core.cohort import Cohort
        from gan_core.config import GanConfig, Precision

        self._dataset = dataset
        shared = dataclasses.replace(case.shared, precision=Precision(precision))
        self.cohort = Cohort(
            shared, dataset.sample_shape, slots=members, device=str(dataset.device)
        )
        rates = torch.logspace(-5, -3, members).tolist()
        self.cohort.admit(
            [
                GanConfig(seed=i, latent_dim=case.latent_dim, lr_g=rate, lr_d=rate)
                for i, rate in enumerate(rates)
            ]
        )

    def train(self, steps: int) -> None:
        """Trains every member by so many steps."""
        from gan_core.loop import run_interval

        run_interval(self.cohort, self._dataset, steps)


def command(search: Search, folder: Path) -> list[str]:
    """`gansweep run` of the search, its results and its config in the folder."""
    config = folder / "search.toml"
    config.write_text(config_text(search))
    return [sys.executable, "-m", "sweeps", "run", str(config), "--storage", str(folder)]


def config_text(search: Search) -> str:
    """The search as a sweep's TOML."""
    case = search.case
    lines = [
        'name = "sweep"',
        "[data]",
        f'dataset = "{case.dataset}"',
        *([f'root = "{search.root}"'] if search.root else []),
        "[model]",
        f'architecture = "{case.architecture}"',
        f"generator_widths = {list(case.generator_widths)}",
        f"discriminator_widths = {list(case.discriminator_widths)}",
        f"channels = {case.channels}",
        "[train]",
        f"steps = {search.steps}",
        f"batch_size = {case.batch_size}",
        f'precision = "{search.precision}"',
        f"eval_every = {search.eval_every}",
        f"eval_images = {search.eval_images}",
        "seeds = 1",
        "[space]",
        'loss = "nonsaturating"',
        "beta1 = 0.5",
        *(f"{name} = {domain.as_toml()}" for name, domain in SPACE.items()),
        "[search]",
        f"trials = {search.trials}",
        f"seed = {search.seed}",
        'sampler = "tpe"',
        f'pruner = "{"rungs" if search.prunes else "none"}"',
        # The other side begins with nothing known.
        "baseline = []",
        f"max_in_flight = {_auto(search.in_flight)}",
        "[resources]",
        f"workers = {_auto(search.workers)}",
        f"slots = {_auto(search.slots)}",
        f'device = "{search.device}"',
    ]
    return "\n".join(lines) + "\n"


def _auto(count: int | None) -> str:
    return '"auto"' if count is None else str(count)
