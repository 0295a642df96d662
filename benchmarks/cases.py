"""What is trained: the same networks, data and batches for every contender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_core.config import CohortConfig
    from gan_core.data import Dataset

__all__ = ["CASES", "Case", "find_case", "load_data"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One dataset and two networks for it."""

    name: str
    title: str
    dataset: str
    architecture: str = "mlp"
    generator_widths: tuple[int, ...] = (128, 128)
    discriminator_widths: tuple[int, ...] = (128, 128)
    channels: int = 64
    latent_dim: int = 64
    batch_size: int = 64
    members: tuple[int, ...] = (1, 4, 16, 32, 64, 256)
    """Sizes of a cohort on a CPU, ascending."""
    cuda_members: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    """And on a CUDA device."""
    bfloat16_members: int | None = None
    """Of the cohort that trains in bfloat16 too, on CPUs that multiply it; None where gan_core
    has no such training."""

    @property
    def shared(self) -> CohortConfig:
        """What a cohort's members share, and a GAN alone has too."""
        from gan_core.config import CohortConfig

        return CohortConfig(
            architecture=self.architecture,
            generator_widths=self.generator_widths,
            discriminator_widths=self.discriminator_widths,
            channels=self.channels,
            latent_dim=self.latent_dim,
            batch_size=self.batch_size,
        )


CASES = {
    case.name: case
    for case in (
        Case(
            name="ring8",
            title="ring8, MLP 128-128",
            dataset="ring8",
            latent_dim=16,
            bfloat16_members=32,
        ),
        Case(name="digits", title="digits, MLP 128-128", dataset="digits", bfloat16_members=32),
        Case(
            name="mnist",
            title="MNIST, MLP 256-512 and 512-256",
            dataset="mnist",
            generator_widths=(256, 512),
            discriminator_widths=(512, 256),
            bfloat16_members=16,
        ),
        Case(
            name="dcgan",
            title="MNIST, DCGAN 128-64",
            dataset="mnist",
            architecture="dcgan",
            members=(1, 4),
            cuda_members=(1, 4, 16, 64),
        ),
    )
}
"""By name, as `--cases` takes them."""


def find_case(name: str) -> Case:
    """The case of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in CASES:
        raise ValueError(f"--cases {name}: must be of {', '.join(CASES)}")
    return CASES[name]


def load_data(case: Case, *, root: str | None, device: str) -> Dataset:
    """The case's data in memory.

    MNIST without a root is random bytes of its size: speed does not depend on what is learnt.
    """
    import torch

    from gan_core.data import Dataset, load_dataset

    if case.dataset == "mnist" and root is None:
        stream = torch.Generator().manual_seed(0)
        images = torch.randint(256, (60_000, 1, 28, 28), dtype=torch.uint8, generator=stream)
        return Dataset("mnist", images.to(device), 255, None, ())
    return load_dataset(case.dataset, root=root, device=device)
