"""What can be seen to be wrong only by trying it, before anything is written or started."""

from __future__ import annotations

from gan_core.config import Architecture, ConfigError, GanConfig, Normalisation
from gan_core.datasets import class_names, sample_shape
from sweeps.config import SweepConfig
from sweeps.domain import Choices
from sweeps.import_path import append_user_directory
from sweeps.space import Space

__all__ = ["check_architecture"]


def check_architecture(config: SweepConfig) -> None:
    """Builds a cohort as the sweep's workers will, with each of D's normalisations.

    Raises:
        ConfigError: the architecture cannot be imported, called or stacked, its latent dimensions
            mixed, it cannot do what the config asks of it for such samples, or there is not enough
            memory to try it.
    """
    model = config.model
    if (
        model.architecture == Architecture.MLP
        and not model.conditional
        and all((model.generator_widths, model.discriminator_widths))
    ):
        return  # which can do anything; torch takes seconds to import
    from gan_core.out_of_memory import out_of_memory
    from sweeps.assembly import assemble_cohort

    append_user_directory()
    data, shortest = config.data, Space(config).latent_dims[0]
    shape = sample_shape(data.dataset, root=data.root, image_size=data.image_size)
    classes = len(class_names(data.dataset, root=data.root))
    domain = config.space.get("d_norm", Normalisation.NONE.value)
    norms = domain.choices if isinstance(domain, Choices) else (domain,)
    gans = [GanConfig(latent_dim=shortest, d_norm=Normalisation(str(norm))) for norm in norms]
    try:
        cohort = assemble_cohort(config, shape, classes=classes, slots=len(gans), device="cpu")
        cohort.admit(gans)
    except (RuntimeError, MemoryError) as error:
        lacking = out_of_memory(error)
        if lacking is None:
            raise
        right = f"there is not enough memory here to try it: {lacking}"
        raise ConfigError("model.architecture", model.architecture, right) from error
