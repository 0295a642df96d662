"""What a step observes and does; that it trains as the reference does is `test_exactness`'s."""

import dataclasses
import math

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import AdversarialLoss, CohortConfig, GanConfig, LossVariant, Penalty
from gan_core.loop import run_interval
from gan_core.losses import d_loss, g_loss
from gan_core.networks.catalog import build
from gan_core.noise import Purpose, batch_indices, latents, stream_key, uniforms
from gan_core.penalties import dragan, r1, r1r2, wgan_gp
from gan_core.signals import SignalStatistics
from gan_core.step import step

BATCH, LATENT = 16, 5
CONFIG = CohortConfig(
    generator_widths=(9,),
    discriminator_widths=(7,),
    latent_dim=LATENT,
    batch_size=BATCH,
    precision="float64",
    schedule_steps=4,
)
RECIPES = [(loss, loss.penalty) for loss in LossVariant]
RECIPES += [(LossVariant.HINGE, penalty) for penalty in Penalty]


def gan(loss="nonsaturating", **values):
    # A rate of zero is none; this one moves nothing within the tolerance.
    return GanConfig(
        loss=loss, **({"seed": 4, "latent_dim": LATENT, "lr_d": 1e-30, "lr_g": 1e-30} | values)
    )


def admitted(dataset, *configs, **shared):
    cohort = Cohort(dataclasses.replace(CONFIG, **shared), dataset.sample_shape, slots=len(configs))
    return cohort, cohort.admit(configs)


def first_step(config, dataset):
    """What the first step observes."""
    cohort, _ = admitted(dataset, config)
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

    rows = batch_indices(key(Purpose.BATCH), BATCH, len(dataset))
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
    if config.penalty not in (None, Penalty.CLIP):
        values["penalty"] = penalty_of(config, D, real, fake.detach(), key)
        total = total + values["penalty"]
    values |= {"real_logit": a.mean(), "fake_logit": b.mean()}
    if loss.has_labels:
        values |= {"real_prob": a.sigmoid().mean(), "fake_prob": b.sigmoid().mean()}
    if loss not in (AdversarialLoss.WASSERSTEIN, AdversarialLoss.RELATIVISTIC):
        border = 0.5 if loss is AdversarialLoss.LSGAN else 0.0
        values |= {
            "real_accuracy": (a > border).double().mean(),
            "fake_accuracy": (b < border).double().mean(),
        }
    values["grad_norm_d"] = norm(total, D)
    if config.penalty is Penalty.CLIP:
        for parameter in D.parameters():
            parameter.data.clamp_(-config.clip_value, config.clip_value)
    values["g_loss"] = g_loss(loss, fake=D(fake), real=D(real).detach()).mean()
    values["grad_norm_g"] = norm(values["g_loss"], G)
    return {name: value.item() for name, value in values.items()}


def penalty_of(config, D, real, fake, key):
    def critic(x):
        return D(x[0])[None]

    real, fake = real[None], fake[None]
    mix = uniforms(key(Purpose.INTERPOLATION), BATCH, 1, torch.float64)[..., 0]
    around = uniforms(key(Purpose.PERTURBATION), BATCH, real[0, 0].numel(), torch.float64)
    match config.penalty:
        case Penalty.WGAN_GP:
            return config.gp_weight * wgan_gp(critic, real=real, fake=fake, mix=mix).mean()
        case Penalty.DRAGAN:
            around = around.view_as(real)
            value = dragan(critic, real=real, perturbation=around, mix=mix)
            return config.dragan_weight * value.mean()
        case Penalty.R1:
            return config.r1_gamma * r1(critic, real=real).mean()
        case Penalty.R1R2:
            return config.r1_gamma * r1r2(critic, real=real, fake=fake).mean()


def norm(value, module):
    gradients = torch.autograd.grad(
        value, list(module.parameters()), retain_graph=True, materialize_grads=True
    )
    return torch.cat([g.flatten() for g in gradients]).norm()


@pytest.mark.parametrize(("loss", "penalty"), RECIPES)
def test_every_signal_is_what_its_name_says_and_nan_where_the_recipe_has_none(
    digits, loss, penalty
):
    values = {"label_smoothing": 0.2} if loss.adversarial.has_labels else {}
    config = gan(loss, penalty=penalty, **values)
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


FACTORS = {
    "constant": lambda s: 1.0,
    "linear": lambda s: max(0.0, 1 - s / 4),
    "cosine": lambda s: (1 + math.cos(math.pi * min(s, 4) / 4)) / 2,
}


def test_a_schedule_is_a_factor_on_both_rates(digits):
    # Without memory Adam's step is the rate against the gradient's sign, less epsilon's share.
    configs = [
        gan(seed=i, lr_schedule=name, lr_g=1e-3, lr_d=2e-3, beta1=0, beta2=0)
        for i, name in enumerate(FACTORS)
    ]
    cohort, handles = admitted(digits, *configs)
    for s in range(6):
        before = [player.parameters.clone() for player in (cohort.G, cohort.D)]
        run_interval(cohort, digits, 1)
        for handle in handles:
            slot, factor = cohort.slot(handle), FACTORS[handle.config.lr_schedule](s)
            for player, old, lr in zip((cohort.G, cohort.D), before, (1e-3, 2e-3), strict=True):
                moved = (player.parameters[slot] - old[slot]).abs().max().item()
                assert moved == pytest.approx(lr * factor, rel=1e-3, abs=1e-18)


def test_schedules_go_by_each_members_own_steps(digits):
    cohort, _ = admitted(digits, gan(), gan(seed=5))
    cohort.evict([cohort.members[1]])
    run_interval(cohort, digits, 3)
    (late,) = cohort.admit([gan(seed=6, lr_schedule="linear", lr_g=1e-3, beta1=0, beta2=0)])
    before = cohort.G.parameters[cohort.slot(late)].clone()
    run_interval(cohort, digits, 1)
    moved = (cohort.G.parameters[cohort.slot(late)] - before).abs().max().item()
    assert moved == pytest.approx(1e-3, rel=1e-3)


def rows(cohort, handle):
    """All that is the member's, bit for bit."""
    slot = cohort.slot(handle)
    states = [t[slot] for stack in (cohort.G, cohort.D) for t in stack.state().values()]
    return [t.clone() for t in (*states, *(v[slot] for v in cohort.values.values()))]


def equal(a, b):
    return [torch.equal(x.nan_to_num(7), y.nan_to_num(7)) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_instance_noise_is_seen_by_those_who_have_it_and_changes_nobody_else(digits, precision):
    def trained(std):
        # Batches of 32, so that rounding does not depend on the slot.
        cohort, handles = admitted(
            digits,
            gan(seed=1, lr_d=1e-3, lr_g=1e-3),
            gan(seed=2, lr_d=1e-3, lr_g=1e-3, instance_noise=std),
            gan("r1", seed=3, lr_d=1e-3, lr_g=1e-3),
            batch_size=32,
            precision=precision,
        )
        run_interval(cohort, digits, 5)
        return [rows(cohort, handle) for handle in handles]

    without, slightly, fully = trained(0.0), trained(1e-30), trained(0.5)
    for quiet in (0, 2):
        assert all(equal(without[quiet], fully[quiet]))
    # Too little noise to be seen is as none, but for its own std.
    assert equal(without[1], slightly[1]).count(False) == 1
    assert equal(without[1], fully[1]).count(False) > 4


def test_instance_noise_lies_on_all_that_d_sees(digits):
    # At a std of 1e3 D's logits are the noise's: as large on real as on fake, and in G's loss.
    _, row = first_step(gan("wasserstein", instance_noise=0.0), digits)
    _, noisy = first_step(gan("wasserstein", instance_noise=1e3), digits)
    for name in ("real_logit_mean", "fake_logit_mean", "g_loss_mean"):
        assert abs(noisy[name]) > 10 * abs(row[name])
    # Three different draws of it: real, fake for D, fake for G.
    assert abs(noisy["fake_logit_mean"] + noisy["g_loss_mean"]) > 1
    assert abs(noisy["fake_logit_mean"] - noisy["real_logit_mean"]) > 1


@pytest.mark.parametrize(
    ("precision", "rtol"), [("float64", 1e-12), ("float32", 1e-5)], ids=["float64", "float32"]
)
@pytest.mark.parametrize("half_life", [8.0, 160.0, 1e6])
def test_the_average_is_its_closed_form(digits, half_life, precision, rtol):
    cohort, (plain, kept) = admitted(
        digits,
        gan(seed=1, lr_g=1e-2, lr_d=1e-3),
        gan(seed=2, lr_g=1e-2, lr_d=1e-3, ema_half_life_images=half_life),
        precision=precision,
    )
    slot, steps, decay = cohort.slot(kept), 10, 0.5 ** (BATCH / half_life)
    weights = [cohort.G.parameters[slot].double().clone()]
    for _ in range(steps):
        run_interval(cohort, digits, 1)
        weights.append(cohort.G.parameters[slot].double().clone())
    moves = [(1 - decay) * decay ** (steps - k) * (w - weights[0]) for k, w in enumerate(weights)]
    moved = cohort.G.average[slot].double() - weights[0]
    # Of what it has moved by; float32 rounds numbers near 1 at each step besides.
    atol = 1e-15 if precision == "float64" else 1e-6
    torch.testing.assert_close(moved, sum(moves[1:]), rtol=rtol, atol=atol)
    initial = build(cohort.config, LATENT, digits.sample_shape, plain.config.seed)[0]
    untouched = cohort.G.export("", cohort.slot(plain), plain.g_shapes, average=True)
    for name, parameter in initial.state_dict().items():
        assert torch.equal(untouched[name], parameter.to(cohort.dtype))


def test_half_of_what_was_is_left_after_the_half_life(digits):
    cohort, (member,) = admitted(digits, gan(ema_half_life_images=10.0 * BATCH))
    average = cohort.G.average[0]
    average += 1.0
    run_interval(cohort, digits, 10)
    left = average - cohort.G.parameters[cohort.slot(member)]
    used = next(iter(cohort.G.tensors("", left[None]).values()))
    torch.testing.assert_close(used, torch.full_like(used, 0.5), rtol=1e-12, atol=0)


def test_a_long_half_life_keeps_its_digits_in_float32(digits):
    # The newest weights' share is 1.1e-6, which 1 - float32(decay) would get 5% off.
    cohort, (member,) = admitted(digits, gan(ema_half_life_images=1e7), precision="float32")
    cohort.G.average.zero_()
    run_interval(cohort, digits, 1)
    share = -math.expm1(-math.log(2) * BATCH / 1e7)
    slot = cohort.slot(member)
    expected = share * cohort.G.parameters[slot].double()
    torch.testing.assert_close(cohort.G.average[slot].double(), expected, rtol=1e-6, atol=0)


DYING = [
    gan("nonsaturating", seed=7, d_norm="spectral", lr_d=1e-3, ema_half_life_images=100.0),
    gan("lsgan", seed=7, d_norm="batch", lr_d=1e-3, ema_half_life_images=100.0),
    gan("wgan", seed=7, lr_d=1e-3, clip_value=0.01),
]


@pytest.mark.parametrize("config", DYING, ids=["spectral", "batch", "clip"])
@pytest.mark.parametrize("after", [0, 3])
def test_who_dies_keeps_all_that_it_had_before_buffers_and_initial_weights_too(
    digits, config, after
):
    cohort, (victim, other) = admitted(digits, config, dataclasses.replace(config, seed=8))
    alone, (reference,) = admitted(digits, other.config)
    for each in (cohort, alone):
        run_interval(each, digits, after) if after else None
    slot = cohort.slot(victim)
    names = [n for n in cohort.G.state() if not n.startswith("moment")]
    before = {n: t[slot].clone() for n, t in cohort.D.state().items() if "moment" not in n}
    before_g = {n: cohort.G.state()[n][slot].clone() for n in names}
    cohort.values["instance_noise"][slot] = torch.inf
    cohort.schedule = dataclasses.replace(
        cohort.schedule,
        rounds=tuple(
            dataclasses.replace(r, noisy=(slice(slot, slot + 1),)) for r in cohort.schedule.rounds
        ),
    )
    records = {r.member: r for r in run_interval(cohort, digits, 2)}
    run_interval(alone, digits, 2)
    assert records[victim].diverged_step == after + 1
    for stack, kept in ((cohort.D, before), (cohort.G, before_g)):
        for name, old in kept.items():
            assert torch.equal(stack.state()[name][slot], old)
    for one, lone in zip(cohort.export(other), alone.export(reference), strict=True):
        for name in one:
            # Adam makes whole steps of what rounding leaves of a zero gradient (before batch norm).
            torch.testing.assert_close(one[name], lone[name], rtol=0, atol=1e-9)
