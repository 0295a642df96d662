"""The two promises of a cohort: each member is what it would be alone, and none sees another."""

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig, LossVariant, LrSchedule, Noise, Penalty
from gan_core.loop import run_interval

STEPS = 50


def cohort_config(**values):
    small = {
        "generator_widths": (24, 40),
        "discriminator_widths": (40, 24),
        "latent_dim": 16,
        "schedule_steps": 60,
    }
    return CohortConfig(**(small | values))


def mixed_members():
    """Every loss and penalty, no two members alike in anything."""
    penalties = [None, *Penalty]
    members = []
    for i, loss in enumerate([*LossVariant, *LossVariant]):
        penalty = penalties[i % len(penalties)] if loss.penalty is None else None
        members.append(
            GanConfig(
                seed=100 + i,
                loss=loss,
                penalty=penalty,
                lr_g=10 ** (-4 + i / 30),
                lr_d=10 ** (-3.7 + i / 30),
                latent_dim=[16, 3, 7, 10, 5][i % 5],
                label_smoothing=0.01 * i if loss.adversarial.has_labels else None,
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


@pytest.mark.parametrize("noise", list(Noise))
def test_a_member_of_a_mixed_cohort_equals_the_gan_trained_alone(solo, digits, noise):
    config = cohort_config(precision="float64", noise=noise)
    members = mixed_members()
    cohort, handles, records = trained(config, members, digits)
    for member, handle in zip(members, handles, strict=True):
        alone = solo(member, config, digits, STEPS)
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
        assert seen["d_loss_mean"] == pytest.approx(sum(last_d) / STEPS, abs=1e-9)
        assert seen["g_loss_mean"] == pytest.approx(sum(alone.g_losses) / STEPS, abs=1e-9)
        assert seen["g_loss_max"] == pytest.approx(max(alone.g_losses), abs=1e-9)


def test_in_float32_a_member_stays_close_to_the_gan_trained_alone(solo, digits):
    # Fused and plain kernels round differently. Where a gradient is near zero Adam turns that
    # into a whole step, so single weights may differ by rate x steps; the vector as a whole
    # stays within 1e-3 of its length over a first rung of twenty steps.
    config = cohort_config()
    members = [m for m in mixed_members() if m.lr_d < 1e-3]
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


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_member_in_another_slot_is_bitwise_the_same(digits, precision):
    config = cohort_config(precision=precision)
    # Equal signatures, so that the order of admission is the order of the slots.
    members = [
        GanConfig(seed=i, lr_g=1e-3 * (i + 1), latent_dim=[16, 9, 4][i % 3]) for i in range(7)
    ]
    orders = [members, members[3:] + members[:3], members[::-1]]
    runs = [trained(config, order, digits) for order in orders]
    slots = [[cohort.slot(h) for h in handles] for cohort, handles, _ in runs]
    assert slots == [list(range(7))] * 3
    for member in members:
        places = [
            (c, h[o.index(member)], r[h[o.index(member)]])
            for o, (c, h, r) in zip(orders, runs, strict=True)
        ]
        assert_same_training(places[0], places[1])
        assert_same_training(places[0], places[2])


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_nan_in_one_member_leaves_the_others_bitwise_as_without_it(digits, precision):
    config = cohort_config(precision=precision)
    members = mixed_members()
    sound = trained(config, members, digits)
    for victim in (0, 4, 11, 20):
        cohort = Cohort(config, digits.sample_shape, slots=len(members))
        handles = cohort.admit(members)
        run_interval(cohort, digits, 10)
        cohort.D.parameters[cohort.slot(handles[victim]), 5] = torch.nan
        records = {r.member: r for r in run_interval(cohort, digits, STEPS - 10)}
        assert records[handles[victim]].diverged_step == 11
        for i, handle in enumerate(handles):
            if i != victim:
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
    undisturbed = trained(config, members[:4], digits)
    cohort = Cohort(config, digits.sample_shape, slots=6)
    handles = cohort.admit(members[:6])
    run_interval(cohort, digits, 20)
    cohort.evict(handles[4:])
    newcomers = cohort.admit([members[9], members[7]])
    run_interval(cohort, digits, 30)
    for i in range(4):
        for a, b in zip(
            cohort.export(handles[i]), undisturbed[0].export(undisturbed[1][i]), strict=True
        ):
            for name in a:
                torch.testing.assert_close(a[name], b[name], rtol=0, atol=1e-9)
    assert len(cohort.members) == 6
    fresh = trained(config, [members[9]], digits, steps=30)
    for a, b in zip(cohort.export(newcomers[0]), fresh[0].export(fresh[1][0]), strict=True):
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=0, atol=1e-9)


def test_the_seed_is_honoured(digits):
    config = cohort_config()
    same = [trained(config, [GanConfig(seed=5, latent_dim=4)], digits, steps=5) for _ in range(2)]
    other = trained(config, [GanConfig(seed=6, latent_dim=4)], digits, steps=5)
    weights = [run[0].export(run[1][0])[0]["layers.0.weight"] for run in (*same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
