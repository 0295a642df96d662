import math

import pytest
import torch

from gan_core.metrics.kernel import KernelReference, kernel_distance


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def brute_force(x, y):
    """The unbiased estimate as the paper writes it, pair by pair."""
    n, m = len(x), len(y)
    of_x, of_y = kernel(x, x), kernel(y, y)
    x_pairs = of_x.sum() - of_x.trace()
    y_pairs = of_y.sum() - of_y.trace()
    return x_pairs / (n * (n - 1)) + y_pairs / (m * (m - 1)) - 2 * kernel(x, y).mean()


def test_it_is_the_unbiased_estimate_over_all_pairs():
    x, y = normal(3, 40, 5), normal(60, 5, seed=1)
    distances = kernel_distance(x, KernelReference(y))
    assert distances.dtype == torch.float64
    for k in range(3):
        # sums of a few thousand kernel values of order 1
        assert distances[k].item() == pytest.approx(brute_force(x[k], y).item(), abs=1e-12)


def test_chunks_do_not_show():
    # 1,500 x 1,500 kernel values are more than are taken at once
    x, y = normal(1, 1500, 3), normal(1500, 3, seed=1)
    expected = brute_force(x[0], y).item()
    assert kernel_distance(x, KernelReference(y)).item() == pytest.approx(expected, abs=1e-12)


def test_two_points_apart_have_the_kernels_own_distance():
    # all samples at a and all references at b: k(a, a) + k(b, b) - 2 k(a, b)
    a, b = torch.tensor([[2.0, 0.0]]).double(), torch.tensor([[1.0, 2.0]]).double()
    distance = kernel_distance(a.expand(1, 7, 2), KernelReference(b.expand(9, 2)))
    # x . y / 2 + 1 is 3, 3.5 and 2
    assert distance.item() == pytest.approx(3**3 + 3.5**3 - 2 * 2**3, rel=1e-14)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_its_expectation_between_shifted_gaussians_has_a_closed_form_at_any_number(shift):
    # E over N(m, I_d) against N(0, I_d), s = |m|^2, moments of x . y up to the third:
    # 3s/d + 3s^2/d^2 + (s^3 + 6s^2 + 3sd + 6s)/d^3
    d, members = 4, 400
    s = shift**2
    expected = 3 * s / d + 3 * s**2 / d**2 + (s**3 + 6 * s**2 + 3 * s * d + 6 * s) / d**3
    mean = torch.zeros(d).double()
    mean[0] = shift
    for n in (5, 50):
        x, y = normal(members, n, d, seed=n) + mean, normal(members, n, d, seed=n + 1)
        estimates = torch.stack(
            [kernel_distance(x[k : k + 1], KernelReference(y[k]))[0] for k in range(members)]
        )
        error = estimates.std().item() / math.sqrt(members)
        assert estimates.mean().item() == pytest.approx(expected, abs=4 * error)
        # a biased estimate would add (E k(x, x) - E k(x, x')) / n for either: far outside
        assert 4 * error < 2 * kernel(y[0], y[0]).diag().mean().item() / n


def test_equal_distributions_score_around_0_on_both_sides():
    estimates = kernel_distance(normal(40, 100, 8), KernelReference(normal(100, 8, seed=1)))
    assert estimates.min() < 0 < estimates.max()


def test_it_is_symmetric():
    x, y = normal(30, 6), normal(30, 6, seed=1) + 0.3
    there = kernel_distance(x[None], KernelReference(y)).item()
    assert kernel_distance(y[None], KernelReference(x)).item() == pytest.approx(there, abs=1e-13)


def test_it_rises_with_the_shift_and_with_the_loss_of_modes():
    y = normal(300, 4)
    shifted = torch.stack([normal(300, 4, seed=1) + shift for shift in (0, 0.5, 1, 2)])
    assert (kernel_distance(shifted, KernelReference(y)).diff() > 0).all()
    modes = 3 * torch.nn.functional.one_hot(torch.arange(300) % 4).double() + 0.1 * y
    fewer = torch.stack([modes[torch.arange(300) % 4 % k + 4] for k in (4, 3, 2, 1)])
    assert (kernel_distance(fewer, KernelReference(modes)).diff() > 0).all()


def test_the_third_moment_that_a_gaussian_does_not_have_is_seen():
    # mean 0 and variance 1 like the reference's, so that the Frechet distance is 0; but skewed
    random = torch.Generator().manual_seed(0)
    skewed = torch.empty(1, 2000, 2).double().exponential_(generator=random) - 1
    distance = kernel_distance(skewed, KernelReference(normal(2000, 2))).item()
    # (sum of squared third cumulants, 2 x 2^2) / d^3 = 1
    assert distance == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_broken_member_gets_nan_and_its_neighbours_are_bitwise_unchanged(value):
    features, reference = normal(4, 40, 8), KernelReference(normal(40, 8, seed=1))
    broken = features.clone()
    broken[2, 7, 3] = value
    sound, with_broken = kernel_distance(features, reference), kernel_distance(broken, reference)
    assert with_broken[2].isnan()
    others = torch.tensor([0, 1, 3])
    assert torch.equal(with_broken[others], sound[others])


def test_one_sample_has_no_pairs_and_no_members_no_distances():
    reference = KernelReference(normal(9, 2))
    assert kernel_distance(normal(2, 1, 2), reference).isnan().all()
    assert kernel_distance(normal(0, 5, 2), reference).shape == (0,)
