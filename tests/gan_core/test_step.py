"""What a step observes; that it trains as the reference does is `test_exactness`'s."""

import math

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import AdversarialLoss, CohortConfig, GanConfig, LossVariant, Penalty
from gan_core.losses import d_loss, g_loss
from gan_core.networks.catalog import build
from gan_core.noise import Purpose, batch_indices, latents, stream_key, uniforms
from gan_core.penalties import wgan_gp
from gan_core.signals import SignalStatistics
from gan_core.step import step

BATCH, LATENT = 16, 5
CONFIG = CohortConfig(
    generator_widths=(9,),
    discriminator_widths=(7,),
    latent_dim=LATENT,
    batch_size=BATCH,
    precision="float64",
)


def gan(loss, **values):
    # A rate of zero is none; this one moves nothing within the tolerance.
    return GanConfig(
        seed=4, loss=loss, latent_dim=LATENT, **({"lr_d": 1e-30, "lr_g": 1e-30} | values)
    )


def first_step(config, dataset):
    """What the first step observes."""
    cohort = Cohort(CONFIG, dataset.sample_shape, slots=1)
    cohort.admit([config])
    statistics = SignalStatistics(1, cohort.device)
    step(cohort, dataset, statistics)
    (row,) = statistics.read()
    return cohort, row


def by_hand(config, dataset):
    """The same from plain modules, for d_steps of 1."""
    G, D = (m.double() for m in build(CONFIG, LATENT, dataset.sample_shape, config.seed))
    seed, zero = torch.tensor([config.seed]), torch.tensor([0])

    def key(purpose):
        return stream_key(seed, purpose, zero, zero)

    rows = batch_indices(key(Purpose.BATCH), BATCH, len(dataset.images))
    real = dataset.batch(rows, torch.float64)[0]
    z = latents(
        key(Purpose.LATENT),
        BATCH,
        LATENT,
        noise=CONFIG.noise,
        lengths=torch.tensor([LATENT]),
        dtype=torch.float64,
    )[0]
    fake = G(z)
    a, b = D(real), D(fake.detach())
    loss = config.loss.adversarial
    values = {"d_loss": d_loss(loss, real=a, fake=b, smoothing=config.label_smoothing or 0).mean()}
    total = values["d_loss"]
    if config.loss.penalty is Penalty.WGAN_GP:
        mix = uniforms(key(Purpose.INTERPOLATION), BATCH, 1, torch.float64)[..., 0]
        penalty = wgan_gp(
            lambda x: D(x[0])[None], real=real[None], fake=fake.detach()[None], mix=mix
        )
        values["penalty"] = config.gp_weight * penalty.mean()
        total = total + values["penalty"]
    values |= {"real_logit": a.mean(), "fake_logit": b.mean()}
    if loss.has_labels:
        values |= {"real_prob": a.sigmoid().mean(), "fake_prob": b.sigmoid().mean()}
    if loss is not AdversarialLoss.WASSERSTEIN:
        border = 0.5 if loss is AdversarialLoss.LSGAN else 0.0
        values |= {
            "real_accuracy": (a > border).double().mean(),
            "fake_accuracy": (b < border).double().mean(),
        }
    values["grad_norm_d"] = norm(total, D)
    if config.loss.penalty is Penalty.CLIP:
        for parameter in D.parameters():
            parameter.data.clamp_(-config.clip_value, config.clip_value)
    values["g_loss"] = g_loss(loss, fake=D(fake)).mean()
    values["grad_norm_g"] = norm(values["g_loss"], G)
    return {name: value.item() for name, value in values.items()}


def norm(value, module):
    gradients = torch.autograd.grad(
        value, list(module.parameters()), retain_graph=True, materialize_grads=True
    )
    return torch.cat([g.flatten() for g in gradients]).norm()


@pytest.mark.parametrize("loss", list(LossVariant))
def test_every_signal_is_what_its_name_says_and_nan_where_the_loss_has_none(digits, loss):
    config = gan(loss, **({"label_smoothing": 0.2} if loss.adversarial.has_labels else {}))
    _, row = first_step(config, digits)
    expected = by_hand(config, digits)
    for name, value in row.items():
        signal, _, statistic = name.rpartition("_")
        if statistic not in ("mean", "min", "max"):
            continue
        if signal in expected:
            assert value == pytest.approx(expected[signal], rel=1e-10, abs=1e-12)
        else:
            assert math.isnan(value)


@pytest.mark.parametrize("d_steps", [1, 2, 5])
def test_a_step_updates_d_d_steps_times_and_g_once(digits, d_steps):
    cohort, row = first_step(gan("hinge", d_steps=d_steps), digits)
    assert cohort.values["d_updates"].tolist() == [d_steps]
    assert cohort.values["step"].tolist() == [1]
    assert row["interval_steps"] == 1


def test_clipping_holds_after_every_step(digits):
    cohort, _ = first_step(gan("wgan", lr_d=0.5, clip_value=0.03, d_steps=2), digits)
    assert cohort.D.parameters.abs().max() == 0.03
    assert cohort.G.parameters.abs().max() > 0.03


def test_g_is_updated_through_the_d_that_was_just_updated(digits):
    slow = by_hand(gan("nonsaturating"), digits)["g_loss"]
    _, fast = first_step(gan("nonsaturating", lr_d=0.1), digits)
    # A D that has just learnt to tell makes G's loss worse on those very fakes.
    assert fast["g_loss_mean"] > slow + 0.1
