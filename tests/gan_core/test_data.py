import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.config import ConfigError
from gan_core.data import Dataset, load_dataset, stack_digits
from gan_core.datasets import PUBLISHED_FILES, DatasetName, check_dataset, class_names, sample_shape
from gan_core.mixtures import MIXTURES, mixture

# fashion_mnist, kmnist and cifar10 go the way of mnist; see test_published.
ELSEWHERE = {DatasetName.FASHION_MNIST, DatasetName.KMNIST, DatasetName.CIFAR10}
HERE = [name for name in DatasetName if name not in ELSEWHERE]


@pytest.fixture(scope="session")
def mnist_root():
    """Where the real MNIST lies; without it the test is skipped."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = os.environ.get("GANSWEEP_TEST_DATA", beside)
    try:
        check_dataset("mnist", root, download=False)
    except ConfigError as error:
        pytest.skip(f"no MNIST; GANSWEEP_TEST_DATA may name its directory: {error}")
    return root


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Two classes of images of several sizes, which hold every value."""
    root = tmp_path_factory.mktemp("folder")
    for i in range(12):
        pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        path = root / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.roll(pixels, i)).resize((16 * (1 + i % 3), 16), 0).save(path)
    return root


@pytest.fixture(scope="session")
def npz(tmp_path_factory):
    path = tmp_path_factory.mktemp("npz") / "mine.npz"
    x = np.arange(9 * 30 * 3, dtype=np.int64).reshape(9, 5, 6, 3) % 256
    np.savez(path, x=x.astype(np.uint8), y=np.arange(9) % 3)
    return path


@pytest.fixture(scope="module", params=HERE)
def dataset(request):
    name = request.param
    if name in PUBLISHED_FILES:
        return load_dataset(name, root=request.getfixturevalue("mnist_root"))
    if name in ("image_folder", "npz"):
        own = request.getfixturevalue("folder" if name == "image_folder" else "npz")
        return load_dataset(name, root=own, image_size=16)
    return load_dataset(name)


def test_all_is_on_the_device_in_its_type_and_shape(dataset):
    assert dataset.data.dtype == (torch.float32 if dataset.levels is None else torch.uint8)
    assert len(dataset) == len(dataset.data) == len(dataset.labels)
    assert dataset.device == dataset.data.device == dataset.labels.device
    assert dataset.sample_shape == tuple(dataset.data.shape[1:])


def test_shape_and_classes_are_those_told_without_torch(dataset, folder, npz):
    root = {"image_folder": folder, "npz": npz}.get(dataset.name)
    assert sample_shape(dataset.name, root=root, image_size=16) == dataset.sample_shape
    assert class_names(dataset.name, root=root) == dataset.classes


def test_bytes_span_the_levels(dataset):
    if dataset.levels is not None:
        assert (dataset.data.min(), dataset.data.max()) == (0, dataset.levels)


def test_labels_index_the_classes(dataset):
    assert dataset.labels.dtype == torch.int64
    assert dataset.labels.unique().tolist() == list(range(len(dataset.classes)))


def test_a_batch_has_the_shape_of_its_indices_and_holds_the_samples_they_name(dataset):
    indices = torch.tensor([[5, 0, 5], [1, 2, len(dataset) - 1]])
    batch = dataset.batch(indices)
    assert batch.shape == (2, 3, *dataset.sample_shape)
    assert batch.dtype == torch.float32
    assert torch.equal(batch[0, 0], batch[0, 2])
    back = batch
    if dataset.levels is not None:
        assert batch.abs().max() <= 1
        back = ((batch + 1) * dataset.levels / 2).round().to(torch.uint8)
    assert torch.equal(back, dataset.data[indices])
    assert torch.equal(dataset.batch(torch.tensor(2)), batch[1, 1])
    assert dataset.batch(torch.empty(0, dtype=torch.int64)).shape == (0, *dataset.sample_shape)
    exact = dataset.batch(indices, torch.float64)
    torch.testing.assert_close(exact.float(), batch, rtol=0, atol=torch.finfo(batch.dtype).eps)


@pytest.mark.parametrize("levels", [16, 255])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_byte_becomes_the_nearest_float_to_2x_over_levels_minus_1(levels, dtype):
    values = torch.arange(levels + 1, dtype=torch.uint8).view(-1, 1, 1, 1)
    ramp = Dataset("ramp", values, levels, None, ())
    pixels = ramp.batch(torch.arange(len(values)), dtype).flatten()
    exact = np.arange(levels + 1, dtype=np.longdouble) * 2 / levels - 1
    assert pixels[0] == -1
    assert pixels[-1] == 1
    # the factor 1 / levels and the product are each rounded once
    assert np.abs(pixels.numpy() - exact).max() <= torch.finfo(dtype).eps
    assert torch.equal(pixels, -pixels.flip(0))


def test_a_batch_of_floats_shares_no_memory_with_the_data():
    ring = load_dataset("ring8")
    before = ring.data.clone()
    ring.batch(torch.arange(len(ring))).zero_()
    assert torch.equal(ring.data, before)


def test_digits_are_the_1797_images_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits = load_dataset("digits")
    assert digits.data.shape == (1797, 1, 8, 8)
    assert digits.levels == 16
    assert np.array_equal(digits.data[:, 0].numpy(), load_digits().images)
    assert digits.labels[:10].tolist() == list(range(10))


def test_mnist_is_the_train_split_unless_the_other_is_asked_for(mnist_root):
    mnist = load_dataset("mnist", root=mnist_root)
    assert mnist.data.shape == (60_000, 1, 28, 28)
    assert mnist.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # the train split's class counts, as LeCun's page and every tutorial print them
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.labels.bincount().tolist() == counts
    test = load_dataset("mnist", root=mnist_root, train=False)
    assert test.data.shape == (10_000, 1, 28, 28)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_carries_its_ground_truth_and_is_the_same_each_time(name):
    dataset = load_dataset(name)
    assert len(dataset) == (25_000 if name == "mixture1200" else 100_000)
    assert torch.equal(dataset.mixture.means, mixture(name).means)
    assert dataset.mixture.std == mixture(name).std
    few = torch.arange(1000)
    off = dataset.batch(few, torch.float64) - dataset.mixture.means[dataset.labels[few]]
    assert off.std().item() == pytest.approx(dataset.mixture.std, rel=0.1)
    assert torch.equal(dataset.data, load_dataset(name).data)


def test_only_a_mixture_has_one(npz):
    assert load_dataset("digits").mixture is None
    assert load_dataset("npz", root=npz).mixture is None


def test_stacking_puts_three_digits_into_one_image_and_one_label():
    digits = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 1, 2, 3)
    images, labels = stack_digits(digits, torch.arange(10), n=5000, seed=0)
    assert images.shape == (5000, 3, 2, 3)
    assert images.dtype == torch.uint8
    red, green, blue = images[:, :, 0, 0].long().unbind(1)
    assert torch.equal(labels, 100 * red + 10 * green + blue)
    # 5 expected of each of 1,000: e^-5 of them stay away
    assert len(labels.unique()) == pytest.approx(993, abs=10)


def test_the_seed_alone_decides_what_is_stacked():
    digits, labels = torch.rand(50, 1, 4, 4), torch.arange(50) % 10
    before = torch.random.get_rng_state()
    a, b, c = (stack_digits(digits, labels, n=9, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(before, torch.random.get_rng_state())


def test_stacked_mnist_is_128_000_images_of_digits_from_both_splits(mnist_root):
    stacked = load_dataset("stacked_mnist", root=mnist_root)
    assert stacked.data.shape == (128_000, 3, 28, 28)
    splits = [load_dataset("mnist", root=mnist_root, train=train) for train in (True, False)]
    drawn = stacked.data[:3].flatten(0, 1)
    expected = [int(d) for label in stacked.labels[:3].tolist() for d in f"{label:03d}"]
    pool = torch.cat([split.data[:, 0] for split in splits])
    labels = torch.cat([split.labels for split in splits])
    for image, digit in zip(drawn, expected, strict=True):
        (found,) = (pool == image).flatten(1).all(1).nonzero().unbind(1)
        assert digit in labels[found].tolist()


def test_an_image_folder_is_scaled_to_the_size_asked_for(folder):
    images = load_dataset("image_folder", root=folder, image_size=8)
    assert images.data.shape == (12, 3, 8, 8)
    assert images.levels == 255
    assert images.labels.tolist() == [0] * 6 + [1] * 6
    assert images.classes == ("a", "b")
    assert load_dataset("image_folder", root=folder).sample_shape == (3, 32, 32)


def test_images_without_labels_have_no_classes(folder):
    images = load_dataset("image_folder", root=folder / "a")
    assert images.labels is None
    assert images.classes == ()


def test_float_arrays_come_out_of_a_batch_as_they_went_in(tmp_path):
    for x in (np.linspace(-1, 1, 96).reshape(6, 1, 4, 4), np.linspace(-50, 90, 24).reshape(6, 4)):
        np.save(tmp_path / "mine.npy", x.astype(np.float32))
        own = load_dataset("npz", root=tmp_path / "mine.npy")
        assert own.levels is None
        assert own.sample_shape == x.shape[1:]
        assert np.array_equal(own.batch(torch.arange(6)).numpy(), x.astype(np.float32))


@pytest.mark.parametrize("name", sorted(set(DatasetName) - set(MIXTURES) - {"digits"}))
def test_what_is_missing_is_refused_as_the_command_line_refuses_it(name, tmp_path):
    for root in (None, tmp_path / "absent"):
        with pytest.raises(ConfigError, match=r"^data\.root = ") as caught:
            load_dataset(name, root=root)
        with pytest.raises(ConfigError) as beforehand:
            check_dataset(name, root, download=False)
        assert str(caught.value) == str(beforehand.value)


def test_data_samples_and_metrics_work_without_the_packages_of_sweeps_and_analysis():
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"ray", "optuna", "pandas", "pyarrow", "analysis", "sweeps"}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
from gan_core.data import load_dataset
from gan_core.metrics.evaluate import Evaluator
from gan_core.samples import grid_png
digits = load_dataset("digits")
assert Evaluator(digits, 100).real.values["mode_kl"] < 1
assert Evaluator(load_dataset("ring8"), 100).real.values["modes_hit"] == 8
assert grid_png(digits.batch(digits.labels[:4])).startswith(b"\\x89PNG")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    top = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, cwd=top, env=environment)
