import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_core.config import ConfigError
from gan_core.datasets import (
    PUBLISHED_FILES,
    DatasetName,
    check_dataset,
    class_names,
    sample_shape,
)

NEEDS_NO_FILES = [
    DatasetName.DIGITS,
    DatasetName.RING8,
    DatasetName.RING8_STD05,
    DatasetName.RING8_GAN_TOY,
    DatasetName.GRID25,
    DatasetName.GRID25_GAN_TOY,
    DatasetName.MIXTURE1200,
]


@pytest.fixture
def folder(tmp_path):
    """Two classes of two images."""
    for i, name in enumerate(["b", "b", "a", "a"]):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name / f"{i}.png")
    return tmp_path


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.zeros((6, 10, 12), np.uint8), y=[2, 2, 2, 7, 7, 7])
    return path


def refusal(call, *arguments, **options):
    with pytest.raises(ConfigError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_name_that_is_none_of_ours_is_refused_with_those_that_are():
    for call in (lambda n: check_dataset(n, None, False), sample_shape, class_names):
        error = refusal(call, "cifar")
        assert (error.key, error.value) == ("data.dataset", "cifar")
        assert all(repr(name.value) in error.right for name in DatasetName)


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("name", NEEDS_NO_FILES)
def test_what_ships_or_is_drawn_needs_no_files(name, download):
    check_dataset(name, None, download)
    check_dataset(name, "/nowhere/at/all", download)


@pytest.mark.parametrize("name", sorted(set(DatasetName) - set(NEEDS_NO_FILES)))
def test_every_other_dataset_without_a_root_is_refused(name):
    for root in (None, ""):
        error = refusal(check_dataset, name, root, False)
        assert (error.key, error.value) == ("data.root", root)
        assert error.right.startswith("must be the ")


@pytest.mark.parametrize("name", PUBLISHED_FILES)
def test_published_files_may_be_missing_only_if_they_may_be_downloaded(name, tmp_path):
    error = refusal(check_dataset, name, tmp_path / "nowhere", False)
    assert (error.key, error.value) == ("data.root", str(tmp_path / "nowhere"))
    assert "data.download = true" in error.right
    check_dataset(name, tmp_path / "nowhere", True)


def test_stacked_mnist_is_made_of_mnists_files():
    assert PUBLISHED_FILES["stacked_mnist"] == PUBLISHED_FILES["mnist"]


def test_shapes_are_channels_height_width_or_the_dimensions_of_points():
    assert sample_shape("digits") == (1, 8, 8)
    assert sample_shape(DatasetName.MNIST) == (1, 28, 28)
    assert sample_shape("cifar10") == (3, 32, 32)
    assert sample_shape("stacked_mnist") == (3, 28, 28)
    assert sample_shape("ring8") == (2,)
    assert sample_shape("mixture1200") == (1200,)


def test_an_image_folders_shape_follows_the_image_size_without_a_look_at_its_files():
    assert sample_shape("image_folder") == (3, 32, 32)
    assert sample_shape("image_folder", image_size=64) == (3, 64, 64)


def test_an_arrays_shape_is_read_from_its_file(npz):
    assert sample_shape("npz", root=npz) == (1, 10, 12)
    error = refusal(sample_shape, "npz")
    assert (error.key, error.value) == ("data.root", None)
    assert "must be the .npz or .npy file" in error.right


def test_classes_are_the_labels_names(folder, npz):
    assert class_names("digits") == class_names("mnist") == tuple("0123456789")
    assert class_names("kmnist")[:2] == ("o", "ki")
    assert class_names("cifar10")[9] == "truck"
    assert class_names("stacked_mnist")[42] == "042"
    assert len(class_names("stacked_mnist")) == 1000
    assert len(class_names("grid25")) == 25
    assert class_names("image_folder", root=folder) == ("a", "b")
    assert class_names("npz", root=npz) == ("2", "7")


def test_classes_are_named_as_torchvision_names_them():
    from torchvision.datasets import KMNIST, FashionMNIST

    assert class_names("fashion_mnist") == tuple(FashionMNIST.classes)
    assert class_names("kmnist") == tuple(KMNIST.classes)


def test_the_users_own_files_are_checked(folder, npz):
    check_dataset("image_folder", folder, False)
    check_dataset("npz", npz, False)
    assert "must be a directory" in refusal(check_dataset, "image_folder", npz, False).right
    assert refusal(check_dataset, "npz", folder, True).key == "data.root"


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_an_image_size_that_is_none_is_refused(folder, size):
    error = refusal(check_dataset, "image_folder", folder, False, image_size=size)
    assert (error.key, error.value) == ("data.image_size", size)


def test_checking_imports_no_torch_and_for_names_alone_not_even_numpy(folder, npz):
    code = f"""
import sys, gan_core.config, gan_core.datasets as d
d.check_dataset('digits', None, False)
d.sample_shape('ring8'), d.class_names('mnist')
assert not {{'torch', 'torchvision', 'sklearn', 'numpy'}} & set(sys.modules)
for name, root in (('image_folder', {str(folder)!r}), ('npz', {str(npz)!r})):
    d.check_dataset(name, root, False)
    d.sample_shape(name, root=root), d.class_names(name, root=root)
assert not {{'torch', 'torchvision', 'sklearn'}} & set(sys.modules)
"""
    top = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=top)
