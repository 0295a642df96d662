"""Named datasets, each as one tensor on the device: no per-sample Python while training."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_core.config import ConfigError
from gan_core.datasets import DatasetName, check_dataset

__all__ = ["Dataset", "load_dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, kept as the bytes they were stored as."""

    name: str
    """A `DatasetName`."""
    images: Tensor
    """[n, channels, height, width], uint8, in [0, levels], on the device."""
    levels: int
    """The greatest pixel value: 16 for digits, 255 for mnist."""
    labels: Tensor | None
    """[n], int64, on the device; an index into `classes`."""
    classes: tuple[str, ...]
    """The labels' names."""

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        c, h, w = self.images.shape[1:]
        return c, h, w

    def batch(self, indices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The images at `indices`: pixel 0 becomes -1 and `levels` becomes +1, both exactly.

        Gathers bytes before it converts, so a batch costs a quarter of the traffic.

        Args:
            indices: [...], int64, in [0, n), on the images' device.
            dtype: of the result, floating.

        Returns:
            [..., channels, height, width], in [-1, 1].
        """
        pixels = self.images.index_select(0, indices.flatten()).to(dtype)
        # 2x - levels is a whole number, so the only rounding is the last: no end overshoots. In
        # place, because fresh pages for 16 batches of MNIST cost more than the arithmetic.
        pixels.mul_(2).sub_(self.levels).mul_(1 / self.levels)
        return pixels.view(*indices.shape, *self.sample_shape)


def load_dataset(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    device: str | torch.device = "cpu",
    train: bool = True,
) -> Dataset:
    """Loads a dataset by its name.

    Args:
        name: a `DatasetName`.
        root: directory of the files, see `check_dataset`; digits needs none.
        download: whether to fetch what is absent. Several processes may do so at once: each
            fetches into a folder of its own and moves whole files into place.
        device: where the images shall be.
        train: the split that GANs are trained on; False is mnist's test split. digits has one.

    Raises:
        ConfigError: unknown name, files missing or damaged, or the download failed.
    """
    check_dataset(name, root, download)
    match DatasetName(name):
        case DatasetName.DIGITS:
            images, labels, levels = *_digits(), 16
        case DatasetName.MNIST:
            assert root is not None  # check_dataset has refused it
            images, labels, levels = *_mnist(Path(root), download, train), 255
    classes = tuple(str(digit) for digit in range(10))
    return Dataset(name, images.to(device), levels, labels.to(device), classes)


def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).to(torch.uint8).unsqueeze(1)
    return images, torch.from_numpy(bunch.target).long()


def _mnist(root: Path, download: bool, train: bool) -> tuple[Tensor, Tensor]:
    from torchvision.datasets import MNIST

    if download:
        _fetch_mnist(root)
    mnist = MNIST(root, train=train)
    return mnist.data.unsqueeze(1), mnist.targets


def _fetch_mnist(root: Path) -> None:
    """Fetches the files, unless they are there already."""
    from torchvision.datasets import MNIST

    with contextlib.suppress(ConfigError):
        return check_dataset(DatasetName.MNIST, root, download=False)
    noise = io.StringIO()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mnist-", dir=root) as folder:
            with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
                fetched = Path(MNIST(folder, download=True).raw_folder)
            target = root / fetched.relative_to(folder)
            target.mkdir(parents=True, exist_ok=True)
            for file in fetched.glob("*-ubyte"):
                file.replace(target / file.name)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        right = "mnist could not be downloaded; put its files there and set data.download = false"
        raise ConfigError("data.root", os.fspath(root), f"{right} ({reason})") from None
    check_dataset(DatasetName.MNIST, root, download=False)
