"""A member's FID, as the literature measures it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from gan_core.config import ConfigError
from gan_core.data import Dataset
from gan_core.metrics.inception import Inception
from gan_core.sampling import evaluation_latents, generate
from sweeps.assembly import assemble_dataset
from sweeps.config import SweepConfig
from sweeps.members import described
from sweeps.store import Store
from sweeps.take_out import load_image_generator

__all__ = ["measure", "real_images"]

_AT_ONCE = 256  # samples of G


def measure(
    config: SweepConfig, store: Store, member: pd.Series, *, n: int, weights: Path | None
) -> list[str]:
    """Measures a member's FID, with a progress bar on stderr.

    A conditional member makes as many samples of each class.

    Args:
        config: of the sweep.
        store: of the sweep.
        member: its row in the table of trials; its weights were kept.
        n: samples, and real images as far as there are so many.
        weights: of Inception; None fetches them.

    Returns:
        What was found, in lines.

    Raises:
        ConfigError: n is too small, the member makes points, torch-fidelity is not installed, or
            the weights cannot be had.
        SweepFailure: the member's weights are damaged.
    """
    if n < 2:
        raise ConfigError("--n", n, "must be >= 2")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    G, member_config = load_image_generator(store, member)
    inception = _inception(weights, device)
    dataset = assemble_dataset(config, "cpu")
    real = real_images(dataset, n)
    z = evaluation_latents(member_config, n, device=device)
    samples = generate(G.to(device), member_config, z, batch_size=_AT_ONCE).cpu()
    value = _measured(inception, samples, real, described(member))
    return [
        f"FID {value:.4g} of {n:,} samples against {_counted(real, dataset)}",
        described(member),
        *_reservation(inception),
    ]


def real_images(dataset: Dataset, n: int) -> Tensor:
    """The same n of a dataset each time, in random order; all if there are fewer.

    Returns:
        [at most n, channels, height, width] in [-1, 1].
    """
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    return dataset.batch(order[:n].to(dataset.device))


def _inception(weights: Path | None, device: str) -> Inception:
    try:
        return Inception(weights, device=device)
    except ConfigError as error:
        key = f"--{error.key}" if error.key == "weights" else error.key
        raise ConfigError(key, error.value, error.right) from None


def _measured(inception: Inception, samples: Tensor, real: Tensor, title: str) -> float:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=len(samples) + len(real))
        return inception.fid(samples, real, on_batch=lambda n: progress.advance(task, n))


def _counted(real: Tensor, dataset: Dataset) -> str:
    every = "all " if len(real) == len(dataset) else ""
    return f"{every}{len(real):,} real images of {dataset.name}"


def _reservation(inception: Inception) -> list[str]:
    if inception.is_published:
        return []
    return [f"{inception.file} is not the file of published FIDs: compare with none of them"]
