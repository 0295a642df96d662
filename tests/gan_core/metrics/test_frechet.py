import numpy as np
import pytest
import scipy.linalg
import torch

from gan_core.metrics.frechet import (
    Moments,
    Reference,
    feature_spread,
    frechet_distance,
    moments,
)


def gaussian(d, seed, members=()):
    """Some mean and some positive definite covariance."""
    random = torch.Generator().manual_seed(seed)
    factor = torch.randn(*members, d, d, generator=random, dtype=torch.float64)
    mean = torch.randn(*members, d, generator=random, dtype=torch.float64)
    return Moments(mean, factor @ factor.mT / d)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def member(statistics, k):
    return Moments(statistics.mean[k], statistics.covariance[k])


def test_standard_normal_to_mean_1_and_covariance_4_in_four_dimensions_is_8():
    # |1|^2 = 4 and tr(I + 4I - 2 * 2I) = 4
    eye = torch.eye(4, dtype=torch.float64)
    near = Moments(torch.zeros(4, dtype=torch.float64), eye)
    far = Moments(torch.ones(4, dtype=torch.float64), 4 * eye)
    assert frechet_distance(far, Reference(near)).item() == pytest.approx(8, abs=1e-12)
    assert frechet_distance(near, Reference(far)).item() == pytest.approx(8, abs=1e-12)


def test_commuting_covariances_have_the_closed_form():
    # sum_i (sqrt(s_i) - sqrt(r_i))^2 for diagonal matrices
    s, r = torch.tensor([1.0, 4, 9, 0], dtype=torch.float64), torch.tensor([4.0, 4, 1, 2]).double()
    mean = torch.zeros(4, dtype=torch.float64)
    distance = frechet_distance(Moments(mean, s.diag()), Reference(Moments(mean, r.diag())))
    assert distance.item() == pytest.approx(1 + 0 + 4 + 2, abs=1e-12)


def test_it_agrees_with_scipys_square_root_of_the_product():
    # The formula as it stands, through Schur instead of eigenvalues; 1e-9 of some tens.
    r, s = gaussian(16, 1), gaussian(16, 2, members=(5,))
    distances = frechet_distance(s, Reference(r))
    for k, distance in enumerate(distances):
        root = scipy.linalg.sqrtm(s.covariance[k].numpy() @ r.covariance.numpy())
        trace = np.trace(s.covariance[k].numpy() + r.covariance.numpy() - 2 * root.real)
        shift = np.square(s.mean[k].numpy() - r.mean.numpy()).sum()
        assert distance.item() == pytest.approx(shift + trace, rel=1e-9)


def test_it_is_symmetric():
    a, b = gaussian(32, 3), gaussian(32, 4)
    there, back = frechet_distance(a, Reference(b)), frechet_distance(b, Reference(a))
    assert there.item() == pytest.approx(back.item(), rel=1e-10)


@pytest.mark.parametrize("rank", [64, 8])
def test_a_gaussian_is_at_no_distance_from_itself(rank):
    # Rank 8: half of MNIST's features may be dead. Roots of rounding errors are of 1e-8 each.
    factor = normal(64, rank)
    same = Moments(normal(64), factor @ factor.T)
    distance = frechet_distance(same, Reference(same))
    assert 0 <= distance <= 1e-5 * same.covariance.trace()


def test_the_estimate_from_n_samples_is_too_high_by_the_stated_bias():
    d, n = 32, 1000
    reference = [Reference(moments(normal(n, d, seed=2 * i))) for i in range(8)]
    estimates = [
        frechet_distance(moments(normal(n, d, seed=2 * i + 1)), r) for i, r in enumerate(reference)
    ]
    bias = 2 * d / n + d * (d + 1) / (2 * n)
    # the next term of the expansion is of order d^3 / N^2, 3% of this one
    assert torch.stack(estimates).mean().item() == pytest.approx(bias, rel=0.06)


def test_moments_are_those_of_numpy_and_in_float64():
    features = normal(3, 50, 4).float()
    statistics = moments(features)
    assert statistics.covariance.dtype == statistics.mean.dtype == torch.float64
    for k in range(3):
        expected = np.cov(features[k].double().numpy(), rowvar=False)
        np.testing.assert_allclose(statistics.covariance[k], expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(statistics.mean[k], features[k].double().mean(0), rtol=1e-12)


def test_every_member_scores_what_it_scores_alone():
    s, reference = gaussian(24, 5, members=(7,)), Reference(gaussian(24, 6))
    together = frechet_distance(s, reference)
    alone = torch.stack([frechet_distance(member(s, k), reference) for k in range(7)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)
    spread = torch.stack([feature_spread(member(s, k), reference) for k in range(7)])
    torch.testing.assert_close(feature_spread(s, reference), spread, rtol=1e-12, atol=0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_broken_member_gets_nan_and_its_neighbours_are_bitwise_unchanged(value):
    features, reference = normal(4, 40, 8), Reference(moments(normal(40, 8, seed=1)))
    broken = features.clone()
    broken[2, 7, 3] = value
    for score in (frechet_distance, feature_spread):
        sound, with_broken = score(moments(features), reference), score(moments(broken), reference)
        assert with_broken[2].isnan()
        others = torch.tensor([0, 1, 3])
        assert torch.equal(with_broken[others], sound[others])


def test_a_nan_in_the_mean_alone_is_enough():
    s = gaussian(4, 0, members=(2,))
    s.mean[0, 1] = torch.nan
    assert frechet_distance(s, Reference(gaussian(4, 1))).isnan().tolist() == [True, False]
    assert s.finite.tolist() == [False, True]


def test_spread_is_the_factor_by_which_the_features_are_scaled():
    features = normal(100, 8)
    members = torch.stack([features, 3 * features + 1, features[:1].expand(100, 8)])
    spread = feature_spread(moments(members), Reference(moments(features)))
    torch.testing.assert_close(spread[:2], torch.tensor([1.0, 3]).double())
    # features that are all alike leave the rounding of their mean
    assert spread[2] < 1e-15


def test_no_members_have_no_distances():
    s = Moments(torch.empty(0, 4).double(), torch.empty(0, 4, 4).double())
    assert frechet_distance(s, Reference(gaussian(4, 0))).shape == (0,)


def independent(x, y):
    """The formula as it stands, in numpy: the root's trace from the eigenvalues of S R."""
    x, y = x.double().numpy(), y.double().numpy()
    s, r = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(s @ r).astype(complex)).real.sum()
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s) + np.trace(r) - 2 * roots


def test_on_real_mnist_it_is_what_numpy_computes(mnist_features):
    x, y = mnist_features[:10_000], mnist_features[10_000:]
    reference = Reference(moments(y))
    for samples in (x, x[:1000], 0.7 * x + 0.5):
        distance = frechet_distance(moments(samples), reference).item()
        assert distance == pytest.approx(independent(samples, y), rel=1e-8)
    # Of 30 or 3 images many eigenvalues are 0 and come out as the roots of rounding errors.
    for few in (30, 3):
        samples = x[torch.arange(500) % few]
        distance = frechet_distance(moments(samples), reference).item()
        assert distance == pytest.approx(independent(samples, y), rel=1e-7)


def test_disjoint_halves_of_real_mnist_are_as_near_as_so_many_images_allow(mnist_features):
    # the bias is of units where the covariance is I: whitened by the other half
    centre = moments(mnist_features)
    values, vectors = torch.linalg.eigh(centre.covariance)
    sound = values > 1e-6 * values.max()  # dead features have no direction
    white = (mnist_features.double() - centre.mean) @ vectors[:, sound] / values[sound].sqrt()
    d, n = white.shape[1], 10_000
    distance = frechet_distance(moments(white[:n]), Reference(moments(white[n:])))
    bias = 2 * d / n + d * (d + 1) / (2 * n)
    # of Gaussians: .132. These have heavier tails, which make covariances vary more: .155.
    assert bias < distance.item() < 1.5 * bias


def test_a_reference_of_one_image_leaves_the_traces_and_the_shift():
    one = Reference(moments(torch.ones(9, 4)))
    samples = moments(normal(3, 50, 4))
    expected = (samples.mean - 1).square().sum(-1) + samples.covariance.diagonal(0, 1, 2).sum(-1)
    torch.testing.assert_close(frechet_distance(samples, one), expected)


@pytest.mark.parametrize(("d", "n"), [(4, 500), (16, 1000), (64, 10_000)])
def test_the_bias_at_other_dimensions_is_the_stated_one_too(d, n):
    eye = Reference(Moments(torch.zeros(d).double(), torch.eye(d).double()))
    # against the exact Gaussian it is half: only one side is estimated
    estimates = frechet_distance(moments(normal(20, n, d, seed=d)), eye)
    bias = d / n + d * (d + 1) / (4 * n)
    error = estimates.std().item() / 20**0.5
    assert estimates.mean().item() == pytest.approx(bias, rel=0.03, abs=4 * error)
