import math

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from gan_core.metrics.neighbours import Neighbours


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores(real, fake, k=5):
    """Of one member."""
    found = Neighbours(real, k)(fake.unsqueeze(0))
    return {name: value.item() for name, value in found._asdict().items()}


def published(real, fake, k=5):
    """The package's, of float64: of float32 it rounds distances to float32."""
    return compute_prdc(real.double().numpy(), fake.double().numpy(), nearest_k=k)


def expected_coverage(n, m, k):
    """The complement of this: all of the k nearest of N + M - 1 others are real."""
    return 1 - math.prod((m - i) / (m + n - i) for i in range(1, k + 1))


# --- the package prdc


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("m", "n", "d"), [(200, 200, 2), (300, 100, 64), (100, 300, 8)])
def test_the_counts_are_those_of_prdc(m, n, d, k):
    real, fake = normal(m, d), 0.8 * normal(n, d, seed=1) + 0.1
    expected = published(real, fake, k)
    ours = scores(real, fake, k)
    assert set(ours) == set(expected)
    for name in ours:
        # equal counts: only the last division may round another way
        assert ours[name] == pytest.approx(expected[name], rel=1e-14), name


def test_the_counts_of_real_mnist_features_are_those_of_prdc(mnist_features):
    real, other = mnist_features[:1000], mnist_features[1000:2000]
    noisy = other + 0.5 * other.std() * normal(*other.shape).float()
    few = other[torch.arange(1000) % 30] + 1e-3 * normal(*other.shape).float()
    for fake in (other, noisy, few):
        expected, ours = published(real, fake), scores(real, fake)
        for name in ours:
            assert ours[name] == pytest.approx(expected[name], rel=1e-14), name


def test_chunks_do_not_show():
    # 1,500 x 1,500 distances are more than are taken at once
    real, fake = normal(1500, 3), normal(1500, 3, seed=1)
    expected, ours = published(real, fake), scores(real, fake)
    for name in ours:
        assert ours[name] == pytest.approx(expected[name], rel=1e-14), name


# --- closed forms


def test_the_closed_form_of_coverage_is_that_of_naeem():
    assert expected_coverage(10_000, 10_000, 5) == pytest.approx(0.96877, abs=5e-6)
    assert expected_coverage(10_000, 10_000, 3) == pytest.approx(0.8750, abs=5e-5)
    assert expected_coverage(10_000, 10_000, 10) == pytest.approx(0.99903, abs=5e-6)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (100, 200), (200, 100)])
@pytest.mark.parametrize("d", [1, 2, 32])
def test_equal_distributions_have_that_coverage_and_density_1_in_any_dimension(n, m, d):
    draws = [
        scores(normal(m, d, seed=2 * seed), normal(n, d, seed=2 * seed + 1)) for seed in range(40)
    ]
    # a ball to the k-th of M - 1 others holds k / M of the mass on average: k / M * M / k
    for name, expected in (("coverage", expected_coverage(n, m, 5)), ("density", 1)):
        values = np.array([draw[name] for draw in draws])
        error = values.std() / math.sqrt(len(draws))
        assert values.mean() == pytest.approx(expected, abs=4 * error), name


@pytest.mark.slow  # two times 10,000 x 10,000 distances, several seconds
def test_disjoint_halves_of_real_mnist_have_the_coverage_of_the_closed_form(mnist_features):
    found = scores(mnist_features[:10_000], mnist_features[10_000:])
    # 10,000 balls of which each is missed with .031: .0017 were they independent, twice that as
    # neighbouring balls are missed together
    assert found["coverage"] == pytest.approx(0.96877, abs=4 * 0.0035)
    assert found["density"] == pytest.approx(1, abs=0.05)


def test_disjoint_thousands_of_real_mnist_have_the_coverage_of_the_closed_form(mnist_features):
    pairs = mnist_features.view(10, 2, 1000, 64)
    found = np.array([scores(real, fake)["coverage"] for real, fake in pairs[:6]])
    # .0055 each were the balls independent
    assert found.mean() == pytest.approx(expected_coverage(1000, 1000, 5), abs=0.01)


def test_a_set_has_all_of_itself_and_density_exactly_1():
    # The k-th neighbour is on the ball's edge, which is outside: itself and k - 1 others are in.
    # In another order products may be rounded another way, which must not let it in.
    for d in (2, 64, 301):
        real = normal(1203, d)
        order = torch.randperm(1203, generator=torch.Generator().manual_seed(0))
        for fake in (real, real[order]):
            found = scores(real, fake)
            assert found == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_points_on_a_line_can_be_counted_by_hand():
    real = torch.tensor([[0.0], [1], [2], [10]]).double()
    fake = torch.tensor([[0.5], [3], [50], [51.5]]).double()
    # k = 1: real balls of radius 1, 1, 1 and 8 hold (.5), (.5), none (3 is on the edge) and (3);
    # generated ones of radius 2.5, 2.5, 1.5 and 1.5 hold 0, 1, 2 and 1, 2 of the real
    assert scores(real, fake, k=1) == {
        "precision": 2 / 4,
        "recall": 3 / 4,
        "density": 3 / 4,
        "coverage": 3 / 4,
    }


# --- what each of them is for


def test_a_collapsed_generator_has_precision_without_recall_and_not_the_reverse():
    real = normal(500, 4)
    collapsed = 0.01 * normal(500, 4, seed=1)  # to the densest place
    found, swapped = scores(real, collapsed), scores(collapsed, real)
    assert found["precision"] == 1
    assert found["recall"] == 0
    assert found["density"] > 1
    assert found["coverage"] < 0.1
    assert swapped["precision"] == 0
    assert swapped["recall"] == 1


def test_precision_and_recall_are_each_others_with_swapped_arguments():
    a, b = normal(200, 3), 1.5 * normal(300, 3, seed=1)
    there, back = scores(a, b), scores(b, a)
    assert there["precision"] == back["recall"] != there["recall"] == back["precision"]
    assert there["coverage"] != back["coverage"]


def test_losing_modes_costs_recall_and_coverage_and_no_precision():
    mode = torch.arange(400) % 8
    centres = 20 * torch.nn.functional.one_hot(mode, 8).double()
    real, fresh = centres + normal(400, 8), normal(400, 8, seed=1)
    ladder = [scores(real, 20 * torch.eye(8).double()[mode % k] + fresh) for k in (8, 4, 2, 1)]
    for name in ("recall", "coverage"):
        values = [step[name] for step in ladder]
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.15 < 0.8 < values[0]
    assert min(step["precision"] for step in ladder) > 0.8


def test_noise_costs_precision_and_density():
    real, fake = normal(400, 8), normal(400, 8, seed=1)
    ladder = [scores(real, scale * fake) for scale in (1, 2, 4, 8)]
    for name in ("precision", "density", "coverage"):
        values = [step[name] for step in ladder]
        assert values == sorted(values, reverse=True)
        assert values[0] > 5 * values[-1]


def test_nothing_changes_where_both_are_moved_turned_and_scaled():
    real, fake = normal(200, 5), 1.2 * normal(200, 5, seed=1)
    turn = torch.linalg.qr(normal(5, 5, seed=2)).Q
    assert scores(1e6 + 7 * real @ turn, 1e6 + 7 * fake @ turn) == scores(real, fake)


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e3])
def test_a_generator_of_one_image_recalls_nothing_even_where_it_is_a_real_one(offset):
    # its balls have no inside, whatever the rounding of large features
    real = normal(300, 64).float() + offset
    one = scores(real, real[:1].expand(300, 64))
    assert one["recall"] == 0
    assert one["precision"] == 1
    held = published(real, real[:1].expand(300, 64))["coverage"]
    assert one["coverage"] == pytest.approx(held)


# --- edges


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_broken_member_gets_nan_and_its_neighbours_are_bitwise_unchanged(value):
    features, neighbours = normal(4, 40, 8), Neighbours(normal(50, 8, seed=1))
    broken = features.clone()
    broken[2, 7, 3] = value
    others = torch.tensor([0, 1, 3])
    for sound, with_broken in zip(neighbours(features), neighbours(broken), strict=True):
        assert with_broken.dtype == torch.float64
        assert with_broken[2].isnan()
        assert torch.equal(with_broken[others], sound[others])


def test_too_few_samples_have_no_kth_neighbour():
    few = scores(normal(50, 2), normal(5, 2, seed=1))
    assert math.isnan(few.pop("recall"))
    assert all(0 < value < 2 for value in few.values())
    assert 0 <= scores(normal(50, 2), normal(6, 2, seed=1))["recall"] <= 1
    no_balls = scores(normal(5, 2), normal(50, 2, seed=1))
    assert all(math.isnan(no_balls[name]) for name in ("precision", "density", "coverage"))


def test_no_members_have_no_scores():
    assert all(score.shape == (0,) for score in Neighbours(normal(9, 2))(normal(0, 9, 2)))
