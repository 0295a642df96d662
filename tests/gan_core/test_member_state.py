import dataclasses

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, ConfigError, GanConfig, LossVariant, LrSchedule
from gan_core.loop import run_interval
from gan_core.member_state import admit_members, member_note, members_bytes

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = CohortConfig(
    generator_widths=(16,),
    discriminator_widths=(8,),
    latent_dim=6,
    batch_size=32,
    schedule_steps=12,
)
NORMS = ["none", "layer", "spectral"]


def gans():
    """Every loss and schedule, some with averages and some with instance noise."""
    return [
        GanConfig(
            seed=i,
            loss=loss,
            latent_dim=1 + i % 6,
            d_steps=1 + i % 2,
            d_norm="batch" if loss.penalty is None and i % 2 else NORMS[i % 3],
            lr_schedule=list(LrSchedule)[i % 3],
            ema_half_life_images=[None, 100.0][i % 2],
            instance_noise=[0.1, 0.0][i % 2],
        )
        for i, loss in enumerate(LossVariant)
    ]


def cohort(dataset, slots, config=CONFIG):
    return Cohort(config, dataset.sample_shape, slots=slots)


def numbers(where, member):
    """All that the member is: its networks, its average, its own values."""
    networks = [
        tensor
        for average in (False, True)
        for network in where.export(member, average=average)
        for tensor in network.values()
    ]
    return [*networks, *(value[where.slot(member)] for value in where.values.values())]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0, equal_nan=True)


def pairs():
    """Two of a kind each, since a kernel for one member may round unlike one for several."""
    return [dataclasses.replace(gan, seed=gan.seed + more) for gan in gans() for more in (0, 100)]


def plain(seed=0, **changes):
    return GanConfig(seed=seed, latent_dim=4, **changes)


def test_members_go_on_among_strangers_as_if_they_had_stayed(digits):
    home = cohort(digits, slots=40)
    stayed = home.admit(pairs())
    run_interval(home, digits, 3)
    kept = members_bytes(home, stayed)
    run_interval(home, digits, 4)

    elsewhere = cohort(digits, slots=40)
    elsewhere.admit([plain(900 + i, d_norm=norm) for i, norm in enumerate(NORMS)])
    run_interval(elsewhere, digits, 2)
    moved = admit_members(elsewhere, kept)
    assert [m.config for m in moved] == [m.config for m in stayed]
    records = {record.member: record for record in run_interval(elsewhere, digits, 4)}
    for old, new in zip(stayed, moved, strict=True):
        assert records[new].step == 7
        assert_same(numbers(home, old), numbers(elsewhere, new))


def test_what_is_left_out_stays_behind_and_what_is_kept_stays_too(digits):
    home = cohort(digits, slots=4)
    first, second, third = home.admit([plain(i) for i in range(3)])
    run_interval(home, digits, 2)
    before = numbers(home, second)
    kept = members_bytes(home, [third, first])
    assert home.members == (first, second, third)
    assert_same(numbers(home, second), before)
    moved = admit_members(cohort(digits, slots=2), kept)
    assert [member.config.seed for member in moved] == [2, 0]


def test_a_diverged_member_stays_diverged(digits):
    home = cohort(digits, slots=2)
    broken, sound = home.admit([plain(i) for i in range(2)])
    home.G.parameters[home.slot(broken), 0] = torch.nan
    run_interval(home, digits, 2)
    elsewhere = cohort(digits, slots=2)
    admit_members(elsewhere, members_bytes(home, [broken, sound]))
    steps = [record.diverged_step for record in run_interval(elsewhere, digits, 2)]
    assert steps == [1, None]


def test_a_note_travels_along(digits):
    home = cohort(digits, slots=1)
    kept = members_bytes(home, home.admit([plain()]), note="läuft: 3\n")
    assert member_note(kept) == "läuft: 3\n"


def test_another_cohort_config_is_refused(digits):
    home = cohort(digits, slots=1)
    kept = members_bytes(home, home.admit([plain()]))
    other = cohort(digits, 1, dataclasses.replace(CONFIG, batch_size=64))
    with pytest.raises(ConfigError, match="batch_size=64"):
        admit_members(other, kept)
    assert other.members == ()


def test_too_few_slots_are_refused(digits):
    home = cohort(digits, slots=2)
    kept = members_bytes(home, home.admit([plain(i) for i in range(2)]))
    with pytest.raises(ValueError, match="2 members for 1 free"):
        admit_members(cohort(digits, slots=1), kept)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_what_is_cut_short_is_refused(digits, cut):
    home = cohort(digits, slots=1)
    kept = members_bytes(home, home.admit([plain()]))
    with pytest.raises(ValueError, match="no members that were kept"):
        admit_members(cohort(digits, slots=1), kept[:cut])


def test_other_safetensors_are_refused(digits):
    from safetensors.torch import save

    with pytest.raises(ValueError, match="no members that were kept"):
        member_note(save({"a": torch.zeros(1)}))
