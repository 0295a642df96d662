"""From a sweep's config to gan_core's parts: the dataset, and the cohort that learns it."""

from __future__ import annotations

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig
from gan_core.data import Dataset, load_dataset
from sweeps.config import SweepConfig
from sweeps.space import Space

__all__ = ["assemble_cohort", "assemble_dataset"]


def assemble_dataset(config: SweepConfig, device: str) -> Dataset:
    """The sweep's dataset, on the device.

    Raises:
        ConfigError: its files are missing or damaged.
    """
    data = config.data
    return load_dataset(
        data.dataset,
        root=data.root,
        download=data.download,
        device=device,
        image_size=data.image_size,
    )


def assemble_cohort(
    config: SweepConfig, sample_shape: tuple[int, ...], *, classes: int, slots: int, device: str
) -> Cohort:
    """An empty cohort for members of the sweep.

    Args:
        config: of the sweep.
        sample_shape: of the dataset.
        classes: of the dataset.
        slots: members at most.
        device: where it lives.

    Raises:
        ConfigError: the architecture cannot be had for such samples.
    """
    model, train = config.model, config.train
    shared = CohortConfig(
        architecture=model.architecture,
        generator_widths=model.generator_widths,
        discriminator_widths=model.discriminator_widths,
        activation=model.activation,
        channels=model.channels,
        conditional=model.conditional,
        batch_size=train.batch_size,
        noise=model.noise,
        precision=train.precision,
        latent_dim=Space(config).latent_dims[1],
        schedule_steps=train.steps,
    )
    return Cohort(shared, sample_shape, slots=slots, device=device, classes=classes)
