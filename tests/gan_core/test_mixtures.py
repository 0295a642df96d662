import math

import pytest
import torch
from scipy.stats import chi2

from gan_core.datasets import class_names, sample_shape
from gan_core.mixtures import MIXTURES, draw, mixture

PLANAR = [name for name in MIXTURES if sample_shape(name) == (2,)]
WITHIN_THREE = -math.expm1(-4.5)  # of a Gaussian in the plane


def spacing(truth):
    distances = torch.cdist(truth.means, truth.means)
    return distances[distances > 0].min().item()


@pytest.mark.parametrize("name", MIXTURES)
def test_shape_and_classes_are_those_declared_without_torch(name):
    truth = mixture(name)
    assert truth.means.shape == (len(class_names(name)), *sample_shape(name))
    assert truth.means.dtype == torch.float64


def test_the_rings_are_eight_points_on_a_circle_an_eighth_apart():
    for name, radius, std in (("ring8", 1, 0.01), ("ring8_std05", 1, 0.05)):
        truth = mixture(name)
        assert truth.std == std
        radii = truth.means.norm(dim=1)
        torch.testing.assert_close(radii, torch.full_like(radii, radius))
        assert spacing(truth) == pytest.approx(2 * radius * math.sin(math.pi / 8))
        assert len(truth.means.unique(dim=0)) == 8  # the linspace of unrolled GAN has seven


def test_the_grid_is_five_by_five_two_apart():
    truth = mixture("grid25")
    assert sorted(truth.means.tolist()) == [
        [x, y] for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)
    ]
    assert truth.std == 0.05


def test_the_toys_are_the_same_layouts_at_another_scale():
    # radius 2 and std 0.02 over 1.414; spacing 2 and std 0.05 over 2.828
    for toy, plain, scale in (
        ("ring8_gan_toy", "ring8", 2 / 1.414),
        ("grid25_gan_toy", "grid25", 1 / 2.828),
    ):
        torch.testing.assert_close(mixture(toy).means, mixture(plain).means * scale)
        assert mixture(toy).std == pytest.approx(mixture(plain).std * scale)
        assert mixture(toy).covariance.diagonal().mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "apart"), [("ring8", 76.5), ("ring8_std05", 15.3), ("grid25", 40)]
)
def test_modes_are_as_many_std_apart_as_published(name, apart):
    truth = mixture(name)
    assert spacing(truth) / truth.std == pytest.approx(apart, abs=0.05)


@pytest.mark.parametrize("name", MIXTURES)
def test_the_radius_of_quality_holds_the_same_share_in_any_dimension(name):
    truth = mixture(name)
    share = chi2.cdf(truth.radius_stds**2, truth.means.shape[1])
    assert share == pytest.approx(WITHIN_THREE, rel=1e-12)
    if name in PLANAR:
        assert truth.radius_stds == 3


@pytest.mark.parametrize("name", PLANAR)
def test_points_have_the_moments_that_the_mixture_says(name):
    truth = mixture(name)
    points, _ = draw(truth, 100_000, seed=1)
    points = points.double()
    scale = truth.covariance.diagonal().max().sqrt().item()
    # four standard errors of a mean, and of a variance below that of a Gaussian
    error = 4 * scale / math.sqrt(len(points))
    assert (points.mean(0) - truth.mean).abs().max() < error
    assert (points.T.cov() - truth.covariance).abs().max() < 2 * scale * error


def test_points_lie_about_the_means_of_their_modes_with_the_mixtures_std():
    truth = mixture("mixture1200")
    points, modes = draw(truth, 500, seed=0)
    assert points.shape == (500, 1200)
    assert points.dtype == torch.float32
    residual = points.double() - truth.means[modes]
    assert residual.std().item() == pytest.approx(1, abs=4 / math.sqrt(2 * residual.numel()))
    assert modes.unique().tolist() == list(range(10))


def test_modes_are_equally_likely():
    _, modes = draw(mixture("grid25"), 100_000, seed=0)
    expected = 100_000 / 25
    statistic = ((modes.bincount() - expected) ** 2 / expected).sum().item()
    assert chi2.sf(statistic, 24) > 1e-4


def test_the_seed_alone_decides_and_the_global_stream_is_left_alone():
    before = torch.random.get_rng_state()
    a, b, c = (draw(mixture("ring8"), 100, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(before, torch.random.get_rng_state())
