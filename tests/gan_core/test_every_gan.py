"""Every loss with every penalty on every architecture: fused in one cohort it is as if alone.

By default every loss, every penalty and every norm is seen on every architecture, plain and
conditional, and every recipe on some; the slow test has them all on all.
"""

import itertools

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import (
    Architecture,
    CohortConfig,
    GanConfig,
    LossVariant,
    Normalisation,
    Penalty,
)
from gan_core.data import Dataset
from gan_core.loop import run_interval

# Enough for each update to act on the next, and few enough for rounding to stay near 1e-15.
STEPS = 4
SOME = 5  # no divisor of the 6 penalties that a loss is seen with


def recipes():
    return [
        (loss, penalty)
        for loss in LossVariant
        for penalty in ((None, *Penalty) if loss.penalty is None else (None,))
    ]


def members(architecture):
    norms = [*Normalisation]
    if architecture is Architecture.STYLEGAN:
        norms = [Normalisation.NONE]
    configs = []
    for i, ((loss, penalty), norm) in enumerate(zip(recipes(), itertools.cycle(norms))):
        own = loss.penalty or penalty
        if norm is Normalisation.BATCH and own is not None and own.is_per_sample:
            norm = Normalisation.LAYER
        configs.append(
            GanConfig(
                seed=i,
                loss=loss,
                penalty=penalty,
                d_norm=norm,
                latent_dim=[5, 3, 4][i % 3],
                lr_g=1e-3,
                lr_d=2e-3,
                d_steps=1 + i % 2,
            )
        )
    return configs


@pytest.fixture(scope="module")
def large_images():
    """Of 32x32 pixels, as sn_resnet wants them; their content does not matter here."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(40) % 10
    return Dataset("large", images, 255, labels, tuple("0123456789"))


def some(configs, architecture, conditional):
    """Every fifth, beginning elsewhere for each case; of losses with their own penalty each second.

    Few, and among them all that there is.
    """
    mixed = [gan for gan in configs if gan.loss.penalty is None]
    own = [gan for gan in configs if gan.loss.penalty is not None]
    first = (2 * list(Architecture).index(architecture) + conditional) % SOME
    return mixed[first::SOME] + own[conditional::2]


CASES = [(architecture, conditional) for architecture in Architecture for conditional in (0, 1)]
NAMES = [f"{architecture}-{('plain', 'conditional')[c]}" for architecture, c in CASES]


@pytest.mark.parametrize(("architecture", "conditional"), CASES, ids=NAMES)
def test_each_loss_and_each_penalty_equals_the_gan_trained_alone(
    solo, digits, large_images, architecture, conditional
):
    configs = some(members(architecture), architecture, conditional)
    assert_as_alone(solo, digits, large_images, architecture, conditional, configs)


@pytest.mark.slow  # 410 GANs, each trained alone as well
@pytest.mark.parametrize(("architecture", "conditional"), CASES, ids=NAMES)
def test_every_recipe_equals_the_gan_trained_alone(
    solo, digits, large_images, architecture, conditional
):
    configs = members(architecture)
    if architecture is Architecture.SN_RESNET:
        configs = configs[:: 2 + conditional]  # 16 times the pixels of the others
    assert_as_alone(solo, digits, large_images, architecture, conditional, configs)


def assert_as_alone(solo, digits, large_images, architecture, conditional, configs):
    dataset = large_images if architecture is Architecture.SN_RESNET else digits
    config = CohortConfig(
        architecture=architecture,
        generator_widths=(7, 6),
        discriminator_widths=(6, 7),
        channels=2,
        latent_dim=5,
        batch_size=4,
        precision="float64",
        conditional=bool(conditional),
    )
    cohort = Cohort(config, dataset.sample_shape, slots=len(configs), classes=10)
    handles = cohort.admit(configs)
    records = {record.member: record for record in run_interval(cohort, dataset, STEPS)}
    for gan, handle in zip(configs, handles, strict=True):
        alone = solo(gan, config, dataset, STEPS)
        assert records[handle].diverged_step is None
        for fused, module in zip(cohort.export(handle), (alone.G, alone.D), strict=True):
            assert set(fused) == set(module.state_dict())
            for name, tensor in module.state_dict().items():
                tolerance = 1e-6 if is_free(architecture, name) else 1e-9
                torch.testing.assert_close(fused[name], tensor, rtol=0, atol=tolerance)


def is_free(architecture, name):
    """Whether what the tensor holds changes nothing: sn_resnet's biases before a BatchNorm.

    They have no gradient but rounding, some 1e-13, which Adam divides by its epsilon of 1e-8 and
    multiplies by the rate; and the running mean behind follows them.
    """
    return architecture is Architecture.SN_RESNET and name.endswith(("bias", "running_mean"))


def test_every_recipe_is_among_them():
    seen = {(gan.loss, gan.penalty) for gan in members(Architecture.MLP)}
    assert len(seen) == len(recipes()) == 6 * 6 + 5
    assert {gan.d_norm for gan in members(Architecture.MLP)} == set(Normalisation)


def test_some_have_every_loss_and_every_penalty_on_every_architecture():
    seen = set()
    for architecture in Architecture:
        configs = [some(members(architecture), architecture, c) for c in (0, 1)]
        both = [gan for part in configs for gan in part]
        assert {gan.loss for gan in both} == set(LossVariant)
        assert {gan.penalty for gan in both} >= {None, *Penalty}
        seen |= {(gan.loss, gan.penalty) for gan in both}
    assert seen == {(gan.loss, gan.penalty) for gan in members(Architecture.MLP)}
