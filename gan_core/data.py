"""Named datasets, each as one tensor on the device: no per-sample Python while training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_core.datasets import DatasetName, check_dataset, class_names
from gan_core.mixtures import MIXTURES, Mixture, draw, mixture, points_of
from gan_core.published import read_published

__all__ = ["Dataset", "load_dataset", "stack_digits"]

_STACKED_IMAGES = 128_000
_STACKED_SEED = 0
_MIXTURE_SEED = 0


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to learn from: images, as bytes or floats, or points."""

    name: str
    """A `DatasetName`."""
    data: Tensor
    """[n, *sample_shape], on the device: uint8 in [0, levels], or float32."""
    levels: int | None
    """The greatest value of a byte: 16 for digits, 255 for other images. None for floats."""
    labels: Tensor | None
    """[n], int64, on the device; an index into `classes`. A mixture's are its modes."""
    classes: tuple[str, ...]
    """The labels' names; () without labels."""
    mixture: Mixture | None = None
    """What the data was drawn from, where that is known; on the device."""

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.data)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of an image, (dimensions,) of a point."""
        return tuple(self.data.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self.data.device

    def batch(self, indices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The samples at `indices`: of bytes 0 becomes -1 and `levels` +1, both exactly.

        Floats stay as they are: images in [-1, 1], points anywhere. Gathers before it converts,
        so a batch of bytes costs a quarter of the traffic.

        Args:
            indices: [...], int64, in [0, n), on the dataset's device.
            dtype: of the result, floating.

        Returns:
            [..., *sample_shape].
        """
        samples = self.data.index_select(0, indices.flatten()).to(dtype)
        if self.levels is not None:
            # Half of the whole number 2x - levels: only the last product rounds, no end overshoots.
            # In place, because fresh pages for 16 batches of MNIST cost more than the arithmetic.
            samples.sub_(self.levels / 2).mul_(2 / self.levels)
        return samples.view(*indices.shape, *self.sample_shape)


def load_dataset(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    device: str | torch.device = "cpu",
    image_size: int = 32,
    train: bool = True,
) -> Dataset:
    """Loads a dataset by its name.

    Images come out of `Dataset.batch` in [-1, 1]. Points come as they are: ring8 within about
    1.05 of the origin, ring8_std05 1.25, grid25 4.3 in each coordinate, the gan_toy layouts with
    a variance of 1 in each coordinate, mixture1200 in [-18, 15].

    Args:
        name: a `DatasetName`.
        root: directory of the files, or npz's file, see `check_dataset`; digits and the
            mixtures need none.
        download: whether to fetch what is absent, see `gan_core.published`.
        device: where the data shall be.
        image_size: height and width that image_folder's images get.
        train: the split that GANs are trained on; False is the test split of mnist,
            fashion_mnist, kmnist and cifar10. The others have one split.

    Raises:
        ConfigError: unknown name, files missing or damaged, or the download failed.
    """
    check_dataset(name, root, download, image_size=image_size)
    dataset = DatasetName(name)
    if dataset in MIXTURES:
        truth = mixture(name)
        data, labels = draw(truth, points_of(name), _MIXTURE_SEED)
        on_device = truth.to(device)
        return Dataset(name, data.to(device), None, labels.to(device), class_names(name), on_device)
    match dataset:
        case DatasetName.DIGITS:
            return _bytes(name, *_digits(), device, levels=16)
        case DatasetName.IMAGE_FOLDER:
            assert root is not None  # check_dataset has refused it
            return _image_folder(Path(root), image_size, device)
        case DatasetName.NPZ:
            assert root is not None
            return _npz(Path(root), device)
        case _:
            assert root is not None
            return _published(dataset, Path(root), download, train, device)


def stack_digits(digits: Tensor, labels: Tensor, *, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Three digits drawn with replacement as the red, green and blue of one image.

    Args:
        digits: [m, 1, h, w], on any device.
        labels: [m], int64, in [0, 10).
        n: images to make.
        seed: the same gives the same images, on any device.

    Returns:
        images, [n, 3, h, w]; labels, [n], int64: 100 red + 10 green + blue.
    """
    random = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(digits), (n, 3), generator=random).to(digits.device)
    images = digits.index_select(0, chosen.flatten()).view(n, 3, *digits.shape[2:])
    return images, (labels[chosen] * torch.tensor([100, 10, 1]).to(labels)).sum(1)


def _bytes(
    name: str, images: Tensor, labels: Tensor, device: str | torch.device, *, levels: int = 255
) -> Dataset:
    return Dataset(name, images.to(device), levels, labels.to(device), class_names(name))


def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).to(torch.uint8).unsqueeze(1)
    return images, torch.from_numpy(bunch.target).long()


def _published(
    dataset: DatasetName, root: Path, download: bool, train: bool, device: str | torch.device
) -> Dataset:
    if dataset is not DatasetName.STACKED_MNIST:
        split = read_published(dataset, root, download=download, train=train)
        return _bytes(dataset, *split, device)
    mnist = [
        read_published(DatasetName.MNIST, root, download=download, train=part)
        for part in (True, False)
    ]
    digits, labels = (torch.cat(parts).to(device) for parts in zip(*mnist, strict=True))
    stacked = stack_digits(digits, labels, n=_STACKED_IMAGES, seed=_STACKED_SEED)
    return _bytes(dataset, *stacked, device)


def _image_folder(root: Path, image_size: int, device: str | torch.device) -> Dataset:
    from gan_core.image_folder import list_images, read_images

    files = list_images(root)
    images = torch.from_numpy(read_images(files.paths, image_size)).to(device)
    labels = None if files.labels is None else torch.tensor(files.labels).to(device)
    return Dataset(DatasetName.IMAGE_FOLDER, images, 255, labels, files.classes)


def _npz(file: Path, device: str | torch.device) -> Dataset:
    from gan_core.arrays import read_array

    array = read_array(file)
    data = torch.from_numpy(array.data).to(device)
    labels = None if array.labels is None else torch.from_numpy(array.labels).to(device)
    levels = 255 if data.dtype == torch.uint8 else None
    return Dataset(DatasetName.NPZ, data, levels, labels, array.classes)
