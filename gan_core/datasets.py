"""Which datasets there are and whether their files are in place. Free of torch."""

from __future__ import annotations

import math
import os
from enum import StrEnum
from pathlib import Path

from gan_core.config import ConfigError

__all__ = ["DatasetName", "check_dataset", "sample_shape"]


class DatasetName(StrEnum):
    """A dataset known by name."""

    DIGITS = "digits"
    """Optical recognition of handwritten digits (Alpaydin & Kaynak 1998), the 1,797 images that
    scikit-learn ships."""
    MNIST = "mnist"
    """Handwritten digits (LeCun et al. 1998), the train split of 60,000 images."""


_SHAPES: dict[DatasetName, tuple[int, int, int]] = {
    DatasetName.DIGITS: (1, 8, 8),
    DatasetName.MNIST: (1, 28, 28),
}

# torchvision wants all four, whichever split is read. The dimensions stand in each file's header.
_MNIST_FOLDER = Path("MNIST", "raw")
_MNIST_FILES: dict[str, tuple[int, ...]] = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
_IDX_UBYTE = 0x08


def sample_shape(name: str) -> tuple[int, int, int]:
    """Channels, height and width of one image.

    Raises:
        ConfigError: no dataset has this name.
    """
    return _SHAPES[_dataset(name)]


def check_dataset(name: str, root: str | os.PathLike[str] | None, download: bool) -> None:
    """Refuses a dataset that is unknown or whose files are not there, before anything is loaded.

    Reads headers and sizes only, so it takes no time and does not see a flipped pixel.

    Args:
        name: a `DatasetName`.
        root: directory that holds the files as torchvision lays them out; digits needs none.
        download: whether absent files may be fetched when the dataset is loaded. A damaged one
            is refused all the same: torchvision would take it as it is.

    Raises:
        ConfigError: with key "data.dataset" or "data.root".
    """
    if _dataset(name) is DatasetName.MNIST:
        _check_mnist(root, download)


def _dataset(name: str) -> DatasetName:
    try:
        return DatasetName(name)
    except ValueError:
        names = ", ".join(repr(d.value) for d in DatasetName)
        raise ConfigError("data.dataset", name, f"must be one of {names}") from None


def _check_mnist(root: str | os.PathLike[str] | None, download: bool) -> None:
    files = f"{_MNIST_FOLDER.as_posix()}/{{train,t10k}}-{{images-idx3,labels-idx1}}-ubyte"
    if root is None or not os.fspath(root):
        raise ConfigError("data.root", root, f"must be the directory that holds {files}")
    shown = os.fspath(root)
    if any(path.exists() and not path.is_dir() for path in (Path(root), *Path(root).parents)):
        raise ConfigError("data.root", shown, f"must be a directory, the one that holds {files}")
    faults = {
        file: _fault(Path(root, _MNIST_FOLDER, file), _MNIST_FILES[file]) for file in _MNIST_FILES
    }
    damaged = [f"{file} {fault}" for file, fault in faults.items() if fault not in ("", _MISSING)]
    missing = [file for file, fault in faults.items() if fault == _MISSING]
    if damaged:
        right = f"delete it and set data.download = true, or put right {_MNIST_FOLDER.as_posix()}"
        raise ConfigError("data.root", shown, f"{'; '.join(damaged)}: {right}")
    if missing and not download:
        right = f"must hold {files} ({len(missing)} of {len(faults)} missing)"
        raise ConfigError("data.root", shown, f"{right}, or set data.download = true")


_MISSING = "missing"


def _fault(path: Path, shape: tuple[int, ...]) -> str:
    """What is wrong with a file that should hold one array of bytes in the IDX format, or ""."""
    header = bytes([0, 0, _IDX_UBYTE, len(shape)])
    header += b"".join(n.to_bytes(4, "big") for n in shape)
    size = len(header) + math.prod(shape)
    try:
        with path.open("rb") as file:
            start, actual = file.read(len(header)), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return _MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if actual != size:
        return f"has {actual} bytes instead of {size}"
    return "" if start == header else f"begins with {start.hex()} instead of {header.hex()}"
