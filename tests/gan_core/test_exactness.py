"""The two promises of a cohort: each member is what it would be alone, and none sees another."""

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import (
    CohortConfig,
    GanConfig,
    LossVariant,
    LrSchedule,
    Normalisation,
    Penalty,
)
from gan_core.kernels.library import Instructions, best_instructions
from gan_core.loop import run_interval

STEPS = 50


def cohort_config(**values):
    small = {
        "generator_widths": (24, 40),
        "discriminator_widths": (40, 24),
        "latent_dim": 16,
        "schedule_steps": 60,
        "batch_size": 32,
    }
    return CohortConfig(**(small | values))


RECIPES = [
    *({"loss": loss, "penalty": p} for loss, p in zip(LossVariant, [None, *Penalty], strict=False)),
    *({"loss": loss} for loss in LossVariant if loss.penalty is not None),
    {"loss": "hinge", "d_norm": "spectral"},
    {"loss": "relativistic", "d_norm": "batch"},
    {"loss": "wasserstein", "penalty": "wgan-gp", "d_norm": "layer"},
    {"loss": "nonsaturating", "penalty": "r1", "d_norm": "spectral"},
]


def mixed_members():
    """Every loss, penalty and normalisation, no two members alike in anything."""
    members = []
    for i, recipe in enumerate(RECIPES):
        labels = LossVariant(recipe["loss"]).adversarial.has_labels
        members.append(
            GanConfig(
                seed=100 + i,
                **recipe,
                lr_g=10 ** (-4 + i / 30),
                lr_d=10 ** (-3.7 + i / 30),
                latent_dim=[16, 3, 7, 10, 5][i % 5],
                label_smoothing=0.01 * i if labels else None,
                beta1=[0.5, 0.0, 0.9][i % 3],
                beta2=[0.999, 0.9][i % 2],
                d_steps=[1, 2, 1, 3][i % 4],
                lr_schedule=list(LrSchedule)[i % 3],
                instance_noise=[0.0, 0.0, 0.1][i % 3],
                ema_half_life_images=[None, 500.0][i % 2],
            )
        )
    return members


def trained(config, members, dataset, steps=STEPS):
    cohort = Cohort(config, dataset.sample_shape, slots=len(members))
    handles = cohort.admit(members)
    records = run_interval(cohort, dataset, steps)
    return cohort, handles, {record.member: record for record in records}


def test_the_mixed_cohort_has_every_kind_of_member():
    members = mixed_members()
    assert {m.loss for m in members} == set(LossVariant)
    assert {m.penalty for m in members} == {None, *Penalty}
    assert {m.d_norm for m in members} == set(Normalisation)
    assert {m.lr_schedule for m in members} == set(LrSchedule)
    assert {m.d_steps for m in members} == {1, 2, 3}


# The distribution of z is nothing to the players, so that with the other a few members do.
@pytest.mark.parametrize(
    ("noise", "some", "steps"),
    [
        ("normal", slice(None), 16),
        ("uniform", slice(0, None, 5), STEPS),
        pytest.param("normal", slice(None), STEPS, marks=pytest.mark.slow),  # 16 loops of 50
    ],
)
def test_a_member_of_a_mixed_cohort_equals_the_gan_trained_alone(solo, digits, noise, some, steps):
    config = cohort_config(precision="float64", noise=noise)
    members = mixed_members()[some]
    cohort, handles, records = trained(config, members, digits, steps=steps)
    for member, handle in zip(members, handles, strict=True):
        alone = solo(member, config, digits, steps)
        average, _ = cohort.export(handle, average=True)
        if member.ema_half_life_images is None:
            alone.average = alone.G
        modules = (alone.G, alone.D, alone.average)
        pairs = zip((*cohort.export(handle), average), modules, strict=True)
        for fused, module in pairs:
            for name, parameter in module.state_dict().items():
                torch.testing.assert_close(fused[name], parameter, rtol=0, atol=1e-9)
        seen = records[handle].statistics
        last_d = alone.d_losses[member.d_steps - 1 :: member.d_steps]
        assert seen["d_loss_mean"] == pytest.approx(sum(last_d) / steps, abs=1e-9)
        assert seen["g_loss_mean"] == pytest.approx(sum(alone.g_losses) / steps, abs=1e-9)
        assert seen["g_loss_max"] == pytest.approx(max(alone.g_losses), abs=1e-9)


def test_in_float32_a_member_stays_close_to_the_gan_trained_alone(solo, digits):
    # Fused and plain kernels round differently. Where a gradient is near zero Adam turns that
    # into a whole step, so single weights may differ by rate x steps; the vector as a whole
    # stays within 1e-3 of its length over a first rung of twenty steps.
    config = cohort_config()
    # Not batch norm: the biases before it have a gradient of zero, so rounding alone moves them.
    members = [m for m in mixed_members()[::2] if m.d_norm != "batch"]
    cohort, handles, _ = trained(config, members, digits, steps=20)
    for member, handle in zip(members, handles, strict=True):
        alone = solo(member, config, digits, 20)
        for fused, module in zip(cohort.export(handle), (alone.G, alone.D), strict=True):
            plain = torch.cat([p.detach().flatten() for p in module.parameters()])
            difference = torch.cat([fused[n].flatten() for n, _ in module.named_parameters()])
            assert (difference - plain).norm() < 1e-3 * plain.norm()


def assert_same_training(first, second):
    """Bitwise: parameters, and every statistic of the interval."""
    (cohort_a, handle_a, record_a), (cohort_b, handle_b, record_b) = first, second
    for player_a, player_b in zip(
        cohort_a.export(handle_a), cohort_b.export(handle_b), strict=True
    ):
        for name, parameter in player_a.items():
            assert torch.equal(parameter, player_b[name])
    assert repr(record_a.statistics) == repr(record_b.statistics)


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_a_member_in_another_slot_is_bitwise_the_same(digits, precision):
    config = cohort_config(precision=precision)
    # Equal signatures, so that the order of admission is the order of the slots.
    members = [
        GanConfig(seed=i, lr_g=1e-3 * (i + 1), latent_dim=[16, 9, 4][i % 3]) for i in range(7)
    ]
    orders = [members, members[3:] + members[:3], members[::-1]]
    runs = [trained(config, order, digits, steps=20) for order in orders]
    slots = [[cohort.slot(h) for h in handles] for cohort, handles, _ in runs]
    assert slots == [list(range(7))] * 3
    for member in members:
        places = [
            (c, h[o.index(member)], r[h[o.index(member)]])
            for o, (c, h, r) in zip(orders, runs, strict=True)
        ]
        assert_same_training(places[0], places[1])
        assert_same_training(places[0], places[2])


@pytest.mark.parametrize(
    ("precision", "least"),
    [("float32", Instructions.AVX2), ("bfloat16", Instructions.AVX512_BF16)],
)
def test_a_plain_member_is_bitwise_the_same_in_any_company_where_networks_run_in_c(
    digits, one_thread, precision, least
):
    if best_instructions() < least:
        pytest.skip("torch multiplies here")
    losses = ("minimax", "lsgan", "hinge", "wgan", "relativistic", "hinge")
    members = [
        GanConfig(
            seed=i,
            loss=loss,
            lr_g=10 ** (-4 + i / 5),
            latent_dim=[16, 3, 7][i % 3],
            d_steps=[1, 2][i % 2],
            instance_noise=[0.0, 0.1][i % 2],
            ema_half_life_images=[None, 500.0][i % 2],
        )
        for i, loss in enumerate(losses)
    ]
    config = cohort_config(precision=precision)
    everyone, handles, records = trained(config, members, digits)
    for some in ([0], [2], [1, 3], [*range(len(members) - 1)]):
        fewer, own, theirs = trained(config, [members[i] for i in some], digits)
        for i, handle in zip(some, own, strict=True):
            assert records[handles[i]].statistics == pytest.approx(
                theirs[handle].statistics, rel=1e-12, nan_ok=True
            )
            for a, b in zip(everyone.export(handles[i]), fewer.export(handle), strict=True):
                assert a.keys() == b.keys()
                assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_a_nan_in_some_members_leaves_the_others_bitwise_as_without_it(digits, precision):
    config = cohort_config(precision=precision)
    members = mixed_members()
    sound = trained(config, members, digits, steps=8)
    cohort = Cohort(config, digits.sample_shape, slots=len(members))
    handles = cohort.admit(members)
    # One after the other, in the midst of their kinds: plain, spectral, penalised, batch.
    victims = [0, 11, 9, 12]
    for victim in victims:
        run_interval(cohort, digits, 1)
        cohort.D.parameters[cohort.slot(handles[victim]), 5] = torch.nan
    records = {r.member: r for r in run_interval(cohort, digits, 4)}
    for i, handle in enumerate(handles):
        if i in victims:
            assert records[handle].diverged_step == victims.index(i) + 2
            continue
        for a, b in zip(cohort.export(handle), sound[0].export(sound[1][i]), strict=True):
            assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_member_that_turns_nonfinite_is_frozen_at_that_step(digits):
    config = cohort_config(precision="float64")
    # Adam moves every weight by up to the rate at each step: at 1e200 the next product overflows.
    explosive = GanConfig(seed=1, lr_d=1e200, loss="lsgan", latent_dim=4)
    cohort, (handle, calm), records = trained(
        config, [explosive, GanConfig(seed=2, latent_dim=4)], digits
    )
    record = records[handle]
    assert record.diverged_step == record.step + 1
    assert record.statistics["nonfinite_steps"] == 1
    assert record.statistics["interval_steps"] == record.step
    before = [p.clone() for player in cohort.export(handle) for p in player.values()]
    run_interval(cohort, digits, 5)
    after = [p for player in cohort.export(handle) for p in player.values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.isfinite().all() for p in after)
    assert records[calm].diverged_step is None


def test_refilled_slots_do_not_disturb_those_who_stay(digits):
    config = cohort_config(precision="float64")
    members = mixed_members()
    undisturbed = trained(config, members[:4], digits, steps=20)
    cohort = Cohort(config, digits.sample_shape, slots=6)
    handles = cohort.admit(members[:6])
    run_interval(cohort, digits, 8)
    cohort.evict(handles[4:])
    newcomers = cohort.admit([members[11], members[7]])
    run_interval(cohort, digits, 12)
    for i in range(4):
        for a, b in zip(
            cohort.export(handles[i]), undisturbed[0].export(undisturbed[1][i]), strict=True
        ):
            for name in a:
                torch.testing.assert_close(a[name], b[name], rtol=0, atol=1e-9)
    assert len(cohort.members) == 6
    fresh = trained(config, [members[11]], digits, steps=12)
    for a, b in zip(cohort.export(newcomers[0]), fresh[0].export(fresh[1][0]), strict=True):
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_padding_stays_zero(digits, precision):
    config = cohort_config(precision=precision)
    cohort, (padded, _), _ = trained(
        config, [GanConfig(seed=i, latent_dim=dim) for i, dim in enumerate((5, 16))], digits, 10
    )
    weight = cohort.G.tensors("", cohort.G.parameters)["layers.0.weight"][cohort.slot(padded)]
    assert weight[:, :5].all()
    assert not weight[:, 5:].any()


def test_the_seed_is_honoured(digits):
    config = cohort_config()
    same = [trained(config, [GanConfig(seed=5, latent_dim=4)], digits, steps=5) for _ in range(2)]
    other = trained(config, [GanConfig(seed=6, latent_dim=4)], digits, steps=5)
    weights = [run[0].export(run[1][0])[0]["layers.0.weight"] for run in (*same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
