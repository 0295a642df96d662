import dataclasses
import math
import os

import pytest

from gan_core.config import ConfigError
from gan_core.published_files import (
    FASHION_MNIST_FILES,
    KMNIST_FILES,
    MNIST_FILES,
    CifarFiles,
    check_files,
)

IDX = [MNIST_FILES, FASHION_MNIST_FILES, KMNIST_FILES]
EVERY = [*IDX, CifarFiles()]
IDX_SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def put(files, root):
    """Files of the right sizes and headers, all black; sparse, so they take no room."""
    folder = root / files.folder
    folder.mkdir(parents=True)
    if isinstance(files, CifarFiles):
        for name in BATCHES:
            with (folder / name).open("wb") as file:
                file.truncate(31_000_000)
        (folder / "batches.meta").write_bytes(b"x")
        return
    for name, shape in IDX_SHAPES.items():
        with (folder / name).open("wb") as file:
            file.write(bytes([0, 0, 8, len(shape)]))
            for n in shape:
                file.write(n.to_bytes(4, "big"))
            file.truncate(file.tell() + math.prod(shape))


@pytest.fixture(params=EVERY, ids=lambda files: files.folder.parts[0])
def files(request):
    return request.param


@pytest.fixture
def root(files, tmp_path):
    put(files, tmp_path)
    return tmp_path


def refusal(files, root, download=False):
    with pytest.raises(ConfigError) as caught:
        check_files(files, root, download)
    assert caught.value.key == "data.root"
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("download", [False, True])
def test_files_in_place_are_accepted(files, root, download):
    check_files(files, root, download)
    check_files(files, str(root), download)


def test_the_paths_are_those_of_the_files(files, root):
    found = {p.relative_to(root) for p in root.rglob("*") if p.is_file()}
    assert set(files.paths) == found


def test_a_root_that_is_not_there_is_refused_naming_the_files_and_the_way_to_fetch_them(
    files, tmp_path
):
    missing = tmp_path / "nowhere"
    error = refusal(files, missing)
    assert error.value == str(missing)
    assert files.pattern in error.right
    assert f"{len(files.paths)} of {len(files.paths)} missing" in error.right
    assert "data.download = true" in error.right
    assert not missing.exists()


def test_mnists_files_are_named_as_torchvision_lays_them_out(tmp_path):
    pattern = "MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte"
    assert pattern in refusal(MNIST_FILES, tmp_path).right


def test_one_missing_file_is_enough_but_may_be_downloaded(files, root, tmp_path):
    (root / files.paths[2]).unlink()
    assert f"1 of {len(files.paths)} missing" in refusal(files, root).right
    check_files(files, root, download=True)
    check_files(files, tmp_path / "nowhere", download=True)


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("value", [None, ""])
def test_no_root_is_refused(files, value, download):
    error = refusal(files, value, download)
    assert error.value == value
    assert "must be the directory" in error.right


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("below", [".", "deeper", "deeper/still"])
def test_a_root_that_is_a_file_or_lies_in_one_is_refused(files, tmp_path, below, download):
    (tmp_path / "file").write_text("")
    error = refusal(files, tmp_path / "file" / below, download)
    assert "must be a directory" in error.right


@pytest.mark.parametrize("download", [False, True])
def test_a_truncated_file_is_refused_with_its_size(files, root, download):
    path = root / files.paths[1]
    os.truncate(path, 1000)
    error = refusal(files, root, download)
    assert f"{path.name} has 1000 bytes" in error.right
    assert "delete it" in error.right


@pytest.mark.parametrize("files", IDX, indirect=True)
def test_a_file_with_another_header_is_refused(files, root):
    with (root / files.folder / "t10k-images-idx3-ubyte").open("r+b") as file:
        file.write(b"\x1f\x8b\x08\x00")
    error = refusal(files, root)
    assert "t10k-images-idx3-ubyte begins with 1f8b0800" in error.right
    assert "instead of 00000803" in error.right


@pytest.mark.parametrize("files", IDX, indirect=True)
def test_the_sizes_are_those_of_the_splits(files, root):
    assert (files.train, files.test) == (60_000, 10_000)
    error = refusal(dataclasses.replace(files, train=50_000), root)
    assert "train-labels-idx1-ubyte has 60008 bytes instead of 50008" in error.right


def test_a_folder_in_a_files_place_is_refused(files, root):
    path = root / files.paths[2]
    path.unlink()
    path.mkdir()
    assert f"{path.name} cannot be read" in refusal(files, root).right
