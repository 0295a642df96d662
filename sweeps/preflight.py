"""What can be seen to be wrong only by trying it, before anything is written or started."""

from __future__ import annotations

from gan_core.datasets import sample_shape
from sweeps.config import SweepConfig
from sweeps.import_path import append_user_directory
from sweeps.space import Space

__all__ = ["check_architecture"]


def check_architecture(config: SweepConfig) -> None:
    """Builds a cohort of the user's own architecture; those that ship need no trying.

    Raises:
        ConfigError: it cannot be imported, called or stacked, or its latent dimensions mixed.
    """
    if ":" not in config.model.architecture:
        return
    from gan_core.cohort import Cohort
    from gan_core.config import GanConfig
    from sweeps.worker import cohort_config

    append_user_directory()
    cohort = Cohort(cohort_config(config), sample_shape(config.data.dataset), slots=1)
    cohort.admit([GanConfig(latent_dim=Space(config).latent_dims[0])])
