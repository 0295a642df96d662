import pytest
import torch

from gan_core.data import Dataset, load_dataset
from gan_core.metrics.components import Components


def points(x):
    return Dataset("npz", x, None, None, ())


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def everything(dataset):
    return torch.arange(len(dataset))


@pytest.mark.parametrize("dimensions", [1, 2, 32])
def test_points_of_few_dimensions_are_themselves_in_float64(dimensions):
    dataset = points(normal(40, dimensions))
    view = Components(dataset)
    assert view.dimensions == dimensions
    vectors = view(dataset.data[:7])
    assert vectors.dtype == torch.float64
    assert torch.equal(vectors, dataset.data[:7].double())


def test_images_become_their_first_32_principal_components(digits):
    view = Components(digits)
    vectors = view.of_dataset(digits, everything(digits))
    assert vectors.shape == (len(digits), view.dimensions) == (1797, 32)
    assert vectors.dtype == torch.float32
    # all digits are fewer than are fitted to: the same variances as numpy's
    pixels = digits.batch(everything(digits)).flatten(1).double()
    expected = torch.linalg.svdvals(pixels - pixels.mean(0))[:32].square() / 1796
    torch.testing.assert_close(vectors.double().var(0), expected, rtol=1e-3, atol=0)
    # decorrelated, and 0 on average
    covariance = vectors.double().T.cov()
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-3 * covariance.max()
    assert vectors.mean(0).abs().max() < 1e-4


def test_distances_are_those_between_the_images_but_for_what_lies_outside(digits):
    vectors = Components(digits).of_dataset(digits, torch.arange(200))
    images = digits.batch(torch.arange(200)).flatten(1)
    ratio = torch.pdist(vectors) / torch.pdist(images)
    assert ratio.max() <= 1 + 1e-5
    assert ratio.min() > 0.7
    assert ratio.median() > 0.95


def test_points_of_many_dimensions_are_projected_too():
    dataset = points(normal(100, 33))
    assert Components(dataset)(dataset.data).shape == (100, 32)
    few = points(normal(20, 100))
    assert Components(few)(few.data).shape == (20, Components(few).dimensions)


def test_rows_are_taken_in_their_order_whatever_the_chunks():
    wide = points(normal(40, 2**16))  # 128 at once
    view, rows = Components(wide), torch.tensor([39, 0, 5, 5] + [7] * 150)
    vectors = view.of_dataset(wide, rows)
    # sums of 65,000 float32 products, in another order
    torch.testing.assert_close(vectors, view(wide.data[rows]), rtol=1e-3, atol=1e-2)


def test_the_view_of_a_dataset_is_always_the_same_and_leaves_the_global_stream_alone(digits):
    before = torch.random.get_rng_state()
    rows = torch.arange(50)
    a, b = (Components(digits).of_dataset(digits, rows) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["digits", "ring8"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_broken_sample_leaves_the_others_bitwise_as_they_are(name, value):
    dataset = load_dataset(name)
    view, sound = Components(dataset), dataset.batch(torch.arange(5))
    broken = sound.clone()
    broken[2].view(-1)[1] = value
    others = torch.tensor([0, 1, 3, 4])
    assert torch.equal(view(broken)[others], view(sound)[others])
    assert not view(broken)[2].isfinite().all()
