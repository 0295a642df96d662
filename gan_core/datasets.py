"""Which datasets there are, what one sample looks like, and whether files are in place.

Free of torch, so that the command line can refuse a mistake at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gan_core.config import ConfigError
from gan_core.published_files import (
    FASHION_MNIST_FILES,
    KMNIST_FILES,
    MNIST_FILES,
    CifarFiles,
    IdxFiles,
    check_files,
)

__all__ = [
    "PUBLISHED_FILES",
    "DatasetName",
    "check_dataset",
    "class_names",
    "sample_shape",
    "untold_metrics",
]


class DatasetName(StrEnum):
    """A dataset known by name."""

    DIGITS = "digits"
    """Optical recognition of handwritten digits (Alpaydin & Kaynak 1998), the 1,797 images that
    scikit-learn ships."""
    MNIST = "mnist"
    """Handwritten digits (LeCun et al. 1998), the train split of 60,000 images."""
    FASHION_MNIST = "fashion_mnist"
    """Articles of clothing (Xiao et al. 2017, arXiv:1708.07747), 60,000 images as mnist's."""
    KMNIST = "kmnist"
    """Cursive hiragana (Clanuwat et al. 2018, arXiv:1812.01718), 60,000 images as mnist's."""
    CIFAR10 = "cifar10"
    """Photographs of ten things (Krizhevsky 2009), the train split of 50,000 images."""
    STACKED_MNIST = "stacked_mnist"
    """Three random MNIST digits as red, green and blue: 1,000 modes. 128,000 images (Srivastava
    et al. 2017, arXiv:1705.07761, as Lin et al. 2018, arXiv:1712.04086, set it up)."""
    RING8 = "ring8"
    """Eight Gaussians of std 0.01 on the unit circle (PacGAN, VEEGAN); 100,000 points."""
    RING8_STD05 = "ring8_std05"
    """ring8 with std 0.05: a GAN learns it within a minute on a CPU."""
    RING8_GAN_TOY = "ring8_gan_toy"
    """Eight Gaussians of std 0.02 at radius 2, all divided by 1.414 (gan_toy.py of
    improved_wgan_training, Gulrajani et al. 2017, arXiv:1704.00028)."""
    GRID25 = "grid25"
    """25 Gaussians of std 0.05 at {-4, -2, 0, 2, 4}^2 (PacGAN, VEEGAN); 100,000 points."""
    GRID25_GAN_TOY = "grid25_gan_toy"
    """grid25 divided by 2.828 (gan_toy.py)."""
    MIXTURE1200 = "mixture1200"
    """Ten Gaussians in 1200 dimensions, after VEEGAN's; see `gan_core.mixtures`."""
    IMAGE_FOLDER = "image_folder"
    """A directory of images; class folders in it are labels. See `gan_core.image_folder`."""
    NPZ = "npz"
    """An array of the user's own, a .npz or .npy file. See `gan_core.arrays`."""


# (channels, height, width) of images, (dimensions,) of points.
_SHAPES: dict[DatasetName, tuple[int, ...]] = {
    DatasetName.DIGITS: (1, 8, 8),
    DatasetName.MNIST: (1, 28, 28),
    DatasetName.FASHION_MNIST: (1, 28, 28),
    DatasetName.KMNIST: (1, 28, 28),
    DatasetName.CIFAR10: (3, 32, 32),
    DatasetName.STACKED_MNIST: (3, 28, 28),
    DatasetName.RING8: (2,),
    DatasetName.RING8_STD05: (2,),
    DatasetName.RING8_GAN_TOY: (2,),
    DatasetName.GRID25: (2,),
    DatasetName.GRID25_GAN_TOY: (2,),
    DatasetName.MIXTURE1200: (1200,),
}

PUBLISHED_FILES: dict[DatasetName, IdxFiles | CifarFiles] = {
    DatasetName.MNIST: MNIST_FILES,
    DatasetName.FASHION_MNIST: FASHION_MNIST_FILES,
    DatasetName.KMNIST: KMNIST_FILES,
    DatasetName.CIFAR10: CifarFiles(),
    DatasetName.STACKED_MNIST: MNIST_FILES,
}
"""What torchvision reads, and can fetch."""

_DIGITS = tuple("0123456789")
_CLASSES: dict[DatasetName, tuple[str, ...]] = {
    DatasetName.DIGITS: _DIGITS,
    DatasetName.MNIST: _DIGITS,
    DatasetName.FASHION_MNIST: (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    DatasetName.KMNIST: ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    DatasetName.CIFAR10: (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    DatasetName.STACKED_MNIST: tuple(f"{k:03d}" for k in range(1000)),
    DatasetName.RING8: tuple(map(str, range(8))),
    DatasetName.RING8_STD05: tuple(map(str, range(8))),
    DatasetName.RING8_GAN_TOY: tuple(map(str, range(8))),
    DatasetName.GRID25: tuple(map(str, range(25))),
    DatasetName.GRID25_GAN_TOY: tuple(map(str, range(25))),
    DatasetName.MIXTURE1200: tuple(map(str, range(10))),
}

Root = str | os.PathLike[str] | None
_Read = TypeVar("_Read")


def sample_shape(name: str, *, root: Root = None, image_size: int = 32) -> tuple[int, ...]:
    """Shape of one sample: (channels, height, width) of an image, (dimensions,) of a point.

    Args:
        name: a `DatasetName`.
        root: npz needs the file, whose header is read; the others have no use for it.
        image_size: height and width of image_folder's images.

    Raises:
        ConfigError: no dataset has this name, or npz's file is not right.
    """
    match _dataset(name):
        case DatasetName.IMAGE_FOLDER:
            return 3, image_size, image_size
        case DatasetName.NPZ:
            from gan_core.arrays import array_sample_shape

            return _from_user(array_sample_shape, name, root)
        case dataset:
            return _SHAPES[dataset]


def class_names(name: str, *, root: Root = None) -> tuple[str, ...]:
    """Names of the labels, in their order; () where samples have no labels.

    The labels of a mixture are its modes. stacked_mnist's are its digits, red first.

    Args:
        name: a `DatasetName`.
        root: where the files of image_folder and npz are; the others have no use for it.

    Raises:
        ConfigError: no dataset has this name, or the files are not right.
    """
    match _dataset(name):
        case DatasetName.IMAGE_FOLDER:
            from gan_core.image_folder import list_images

            return _from_user(list_images, name, root).classes
        case DatasetName.NPZ:
            from gan_core.arrays import read_classes

            return _from_user(read_classes, name, root)
        case dataset:
            return _CLASSES[dataset]


_AGREEMENTS = frozenset({"class_agreement", "least_class_agreement"})


def untold_metrics(name: str, *, root: Root = None, conditional: bool = False) -> frozenset[str]:
    """Metrics that are NaN for every GAN on this dataset, so that none can be the objective.

    The quality of samples is known of a mixture alone. Modes are counted where they have a
    ground truth, or are the classes of labelled images.

    Args:
        name: a `DatasetName`.
        root: where the files of image_folder and npz are; the others have no use for it.
        conditional: whether the GANs are asked for classes, which samples can then agree with.

    Raises:
        ConfigError: no dataset has this name, or the files are not right.
    """
    dataset = _dataset(name)
    unasked = frozenset() if conditional else _AGREEMENTS
    if dataset in _SHAPES and len(_SHAPES[dataset]) == 1:
        return unasked
    if dataset is DatasetName.STACKED_MNIST:
        return unasked | {"hq_share"}
    if len(sample_shape(name, root=root)) == 3 and class_names(name, root=root):
        return unasked | {"hq_share", "modes_hit"}
    of_modes = {"mode_kl", "mode_entropy", "modes_1pct", "within_class_spread"}
    return _AGREEMENTS | of_modes | {"hq_share", "modes_hit"}


def check_dataset(name: str, root: Root, download: bool, *, image_size: int = 32) -> None:
    """Refuses a dataset that is unknown or whose files are not there, before anything is loaded.

    Reads headers, sizes and folders only, so it takes little time and does not see a flipped
    pixel.

    Args:
        name: a `DatasetName`.
        root: directory that holds the files as torchvision lays them out; image_folder's
            directory; npz's file. digits and the mixtures need none.
        download: whether absent files may be fetched when the dataset is loaded. A damaged one
            is refused all the same: torchvision would take it as it is.
        image_size: height and width that image_folder's images get, >= 1.

    Raises:
        ConfigError: with key "data.dataset", "data.root" or "data.image_size".
    """
    dataset = _dataset(name)
    if dataset in PUBLISHED_FILES:
        check_files(PUBLISHED_FILES[dataset], root, download)
    elif dataset is DatasetName.NPZ:
        sample_shape(name, root=root)
    elif dataset is DatasetName.IMAGE_FOLDER:
        from gan_core.image_folder import check_image_folder

        if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1:
            raise ConfigError("data.image_size", image_size, "must be a whole number >= 1")
        _from_user(check_image_folder, name, root)


def _dataset(name: str) -> DatasetName:
    try:
        return DatasetName(name)
    except ValueError:
        names = ", ".join(repr(d.value) for d in DatasetName)
        raise ConfigError("data.dataset", name, f"must be one of {names}") from None


def _from_user(read: Callable[[Path], _Read], name: str, root: Root) -> _Read:
    if root is None or not os.fspath(root):
        what = "the .npz or .npy file" if name == DatasetName.NPZ else "the directory of images"
        raise ConfigError("data.root", root, f"must be {what}, for dataset {name!r}")
    return read(Path(root))
