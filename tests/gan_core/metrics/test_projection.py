import pytest
import torch

from gan_core.data import Dataset, load_dataset
from gan_core.metrics.projection import Projection, fit_projection


def points(x):
    return Dataset("npz", x, None, None, ())


def line(n=2000, dimensions=100, noise=0.1):
    """Points along three directions of falling width, and noise in all."""
    random = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(dimensions, 3, generator=random)).Q
    along = torch.randn(n, 3, generator=random) * torch.tensor([20.0, 10.0, 5.0])
    return points(along @ axes.T + noise * torch.randn(n, dimensions, generator=random) + 7), axes


def test_every_feature_has_mean_0_and_std_1_in_the_data():
    for dataset in (line()[0], load_dataset("digits")):
        projection = Projection(**fit_projection(dataset))
        features = projection(dataset.batch(torch.arange(len(dataset))))
        assert features.shape == (len(dataset), projection.features_dim) == (len(dataset), 64)
        assert features.mean(0).abs().max() < 1e-3
        # digits has corners that are always black: no direction is blown up for them
        assert features.std(0).max() < 1.001
    assert features.std(0).median() == pytest.approx(1, abs=1e-3)


def test_the_first_features_are_the_principal_components():
    dataset, axes = line()
    directions = fit_projection(dataset)["directions"]
    directions = directions / directions.norm(dim=0)
    assert (axes * directions[:, :3]).sum(0).abs().min() > 0.999
    # the directions are orthonormal, so none is counted twice
    torch.testing.assert_close(directions.T @ directions, torch.eye(64), rtol=0, atol=1e-4)


def test_the_seed_is_fixed_and_the_global_stream_is_left_alone():
    before = torch.random.get_rng_state()
    a, b = (fit_projection(load_dataset("digits")) for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in ("mean", "directions"))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("n", "dimensions"), [(4, 1), (4, 3), (5, 200), (100, 64), (300, 2)])
def test_few_samples_and_few_dimensions_are_enough(n, dimensions):
    random = torch.Generator().manual_seed(0)
    dataset = points(torch.randn(n, dimensions, generator=random))
    projection = Projection(**fit_projection(dataset))
    features = projection(dataset.data)
    assert features.shape == (n, min(64, dimensions))
    assert features.isfinite().all()


def test_what_the_data_has_no_width_in_is_seen_in_samples():
    # the data lies on a plane in 300 dimensions; noise off it shows in the random directions
    random = torch.Generator().manual_seed(0)
    plane = torch.linalg.qr(torch.randn(300, 2, generator=random)).Q
    dataset = points(torch.randn(500, 2, generator=random) @ plane.T)
    projection = Projection(**fit_projection(dataset))
    off = dataset.data + 0.1 * torch.randn(500, 300, generator=random)
    assert projection(dataset.data)[:, 2:].std(0).max() < 0.01
    assert projection(off)[:, 32:].std(0).min() > 1
