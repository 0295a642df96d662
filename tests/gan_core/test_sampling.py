import math

import pytest
import torch

from gan_core.config import CohortConfig, GanConfig, Noise
from gan_core.export import MemberConfig
from gan_core.sampling import class_labels, evaluation_latents, generate, interpolate


def ends(rows=5, length=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, rows, length, generator=generator)


@pytest.mark.parametrize("noise", Noise)
@pytest.mark.parametrize("length", [1, 2, 64])
@pytest.mark.parametrize("steps", [2, 8])
def test_a_way_begins_and_ends_at_its_ends_bit_for_bit(noise, length, steps):
    first, last = ends(length=length)
    way = interpolate(first, last, steps, noise)
    assert way.shape == (5, steps, length)
    assert torch.equal(way[:, 0], first)
    assert torch.equal(way[:, -1], last)


def test_a_uniform_z_goes_straight_in_equal_steps():
    first, last = ends()
    steps = interpolate(first, last, 9, Noise.UNIFORM).diff(dim=1)
    torch.testing.assert_close(steps, ((last - first) / 8)[:, None].expand_as(steps))


def test_a_normal_z_keeps_to_its_sphere_and_turns_by_equal_angles():
    first, last = (x / x.norm(dim=-1, keepdim=True) for x in ends().double())
    way = interpolate(first, last, 9, Noise.NORMAL)
    # Of unit vectors, so whatever differs is the rounding of float64.
    torch.testing.assert_close(way.norm(dim=-1), torch.ones(5, 9, dtype=way.dtype))
    turns = (way[:, 1:] * way[:, :-1]).sum(-1).acos()
    whole = (first * last).sum(-1).acos()
    torch.testing.assert_close(turns, (whole / 8)[:, None].expand_as(turns))


def test_the_middle_of_a_right_angle_is_the_sum_over_root_two():
    first, last = torch.eye(2, dtype=torch.float64)
    middle = interpolate(first, last, 3, Noise.NORMAL)[1]
    torch.testing.assert_close(middle, torch.full((2,), 1 / math.sqrt(2), dtype=middle.dtype))


@pytest.mark.parametrize("factor", [1.0, 3.0, -2.0])
def test_between_parallel_vectors_the_way_is_straight_and_finite(factor):
    first = ends()[0]
    way = interpolate(first, factor * first, 5, Noise.NORMAL)
    torch.testing.assert_close(way, interpolate(first, factor * first, 5, Noise.UNIFORM))
    assert way.isfinite().all()


def member(**shared):
    cohort = CohortConfig(latent_dim=16, **shared)
    gan = GanConfig(seed=5, latent_dim=6)
    return MemberConfig(gan=gan, cohort=cohort, sample_shape=(1, 2, 3), classes=("a", "b", "c"))


def test_the_seed_is_honoured_and_fewer_are_the_first_of_more():
    z = evaluation_latents(member(), 10)
    assert z.shape == (10, 6)
    assert torch.equal(z[:4], evaluation_latents(member(), 4))
    other = MemberConfig(
        gan=GanConfig(seed=6, latent_dim=6), cohort=CohortConfig(), sample_shape=()
    )
    assert not torch.equal(z, evaluation_latents(other, 10))


def test_labels_go_round_the_classes_of_a_conditional_member_alone():
    assert class_labels(member(), 5) is None
    assert class_labels(member(conditional=True), 5).tolist() == [0, 1, 2, 0, 1]


class Noisy(torch.nn.Module):
    """Shows what it was given."""

    noise_numel = 4

    def forward(self, z, labels, noise):
        return torch.cat((z, labels[:, None], noise), dim=1)


def test_a_network_with_noise_of_its_own_gets_it_last_and_normal_and_always_the_same():
    config = member(conditional=True)
    z = evaluation_latents(config, 4000)
    given = generate(Noisy(), config, z)
    assert torch.equal(given[:, :6], z)
    assert given[:4, 6].tolist() == [0, 1, 2, 0]
    noise = given[:, 7:]
    # The mean of 16,000 standard normals is within 4 / sqrt(16000) but once in 16,000 times.
    assert abs(noise.mean()) < 4 / math.sqrt(16000)
    assert abs(noise.std() - 1) < 0.05
    assert torch.equal(given, generate(Noisy(), config, z))
    labels = torch.full((4000,), 2)
    assert (generate(Noisy(), config, z, labels)[:, 6] == 2).all()


def test_batches_do_not_show():
    config = member(conditional=True)
    z = evaluation_latents(config, 10)
    batches = []

    class Counted(Noisy):
        def forward(self, z, labels, noise):
            batches.append(len(z))
            return super().forward(z, labels, noise)

    assert torch.equal(generate(Counted(), config, z, batch_size=4), generate(Noisy(), config, z))
    assert batches == [4, 4, 2]
