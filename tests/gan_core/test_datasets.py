import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_core.config import ConfigError
from gan_core.datasets import DatasetName, check_dataset, sample_shape

FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


@pytest.fixture
def root(tmp_path):
    """Files of MNIST's sizes and headers, all black; sparse, so they take no room."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, shape in FILES.items():
        size = 1
        with (folder / name).open("wb") as file:
            file.write(bytes([0, 0, 8, len(shape)]))
            for n in shape:
                file.write(n.to_bytes(4, "big"))
                size *= n
            file.truncate(file.tell() + size)
    return tmp_path


def refusal(name, root, download=False):
    with pytest.raises(ConfigError) as caught:
        check_dataset(name, root, download)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_name_that_is_none_of_ours_is_refused_with_those_that_are():
    error = refusal("cifar", None)
    assert str(error) == "data.dataset = \"cifar\": must be one of 'digits', 'mnist'"
    with pytest.raises(ConfigError, match=r"data\.dataset"):
        sample_shape("cifar")


@pytest.mark.parametrize("download", [False, True])
def test_digits_needs_no_files(download):
    check_dataset("digits", None, download)
    check_dataset("digits", "/nowhere/at/all", download)


@pytest.mark.parametrize("download", [False, True])
def test_mnist_with_its_files_in_place_is_accepted(root, download):
    check_dataset("mnist", root, download)
    check_dataset("mnist", str(root), download)


def test_a_root_that_is_not_there_is_refused_naming_the_files_and_the_way_to_fetch_them(tmp_path):
    missing = tmp_path / "nowhere"
    error = refusal("mnist", missing)
    assert (error.key, error.value) == ("data.root", str(missing))
    assert "MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte" in error.right
    assert "4 of 4 missing" in error.right
    assert "data.download = true" in error.right
    assert not missing.exists()


def test_one_missing_file_is_enough(root):
    (root / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    assert "1 of 4 missing" in refusal("mnist", root).right


def test_what_may_be_downloaded_need_not_be_there(root, tmp_path):
    (root / "MNIST/raw/train-images-idx3-ubyte").unlink()
    check_dataset("mnist", root, download=True)
    check_dataset("mnist", tmp_path / "nowhere", download=True)


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("value", [None, ""])
def test_mnist_without_a_root_is_refused(value, download):
    error = refusal("mnist", value, download)
    assert (error.key, error.value) == ("data.root", value)
    assert "must be the directory" in error.right


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("below", [".", "deeper", "deeper/still"])
def test_a_root_that_is_a_file_or_lies_in_one_is_refused(tmp_path, below, download):
    (tmp_path / "file").write_text("")
    error = refusal("mnist", tmp_path / "file" / below, download)
    assert error.key == "data.root"
    assert "must be a directory" in error.right


@pytest.mark.parametrize("download", [False, True])
def test_a_truncated_file_is_refused_with_its_sizes(root, download):
    file = root / "MNIST/raw/train-labels-idx1-ubyte"
    os.truncate(file, 1000)
    error = refusal("mnist", root, download)
    assert "train-labels-idx1-ubyte has 1000 bytes instead of 60008" in error.right
    assert "delete it" in error.right


def test_a_file_with_another_header_is_refused(root):
    with (root / "MNIST/raw/t10k-images-idx3-ubyte").open("r+b") as file:
        file.write(b"\x1f\x8b\x08\x00")
    error = refusal("mnist", root)
    assert "t10k-images-idx3-ubyte begins with 1f8b0800" in error.right
    assert "instead of 00000803" in error.right


def test_a_folder_in_a_files_place_is_refused(root):
    file = root / "MNIST/raw/t10k-images-idx3-ubyte"
    file.unlink()
    file.mkdir()
    assert "t10k-images-idx3-ubyte cannot be read" in refusal("mnist", root).right


def test_shapes_are_channels_height_width():
    assert sample_shape("digits") == (1, 8, 8)
    assert sample_shape(DatasetName.MNIST) == (1, 28, 28)


def test_checking_a_dataset_imports_no_torch():
    code = (
        "import sys, gan_core.config, gan_core.datasets as d;"
        "d.check_dataset('digits', None, False);"
        "assert not {'torch', 'torchvision', 'sklearn', 'numpy'} & set(sys.modules)"
    )
    top = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=top)
