"""Published datasets, read and fetched through torchvision."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_core.config import ConfigError
from gan_core.datasets import PUBLISHED_FILES, DatasetName
from gan_core.published_files import check_files

__all__ = ["read_published"]


def read_published(
    dataset: DatasetName, root: Path, *, download: bool, train: bool
) -> tuple[Tensor, Tensor]:
    """Reads a split of a dataset that torchvision knows.

    Args:
        dataset: mnist, fashion_mnist, kmnist or cifar10.
        root: directory of the files.
        download: whether to fetch what is absent. Several processes may do so at once: each
            fetches into a folder of its own and moves whole files into place.
        train: the train split or else the test split.

    Returns:
        images, [n, channels, height, width], uint8; labels, [n], int64.

    Raises:
        ConfigError: files missing or damaged, or the download failed.
    """
    if download:
        _fetch(dataset, root)
    try:
        split = _reader(dataset)(root, train=train)
    except RuntimeError as error:
        # By now all files are there: their checksums are wrong.
        reason = "files are damaged: delete them and set data.download = true"
        folder = PUBLISHED_FILES[dataset].folder.as_posix()
        detail = " ".join(str(error).split())
        raise ConfigError("data.root", os.fspath(root), f"{folder}: {reason} ({detail})") from None
    if dataset is DatasetName.CIFAR10:
        return torch.from_numpy(split.data).movedim(-1, 1).contiguous(), torch.tensor(split.targets)
    return split.data.unsqueeze(1), split.targets


def _reader(dataset: DatasetName) -> Any:
    from torchvision import datasets

    match dataset:
        case DatasetName.FASHION_MNIST:
            return datasets.FashionMNIST
        case DatasetName.KMNIST:
            return datasets.KMNIST
        case DatasetName.CIFAR10:
            return datasets.CIFAR10
        case _:
            return datasets.MNIST


def _fetch(dataset: DatasetName, root: Path) -> None:
    """Fetches the files, unless they are there already."""
    files = PUBLISHED_FILES[dataset]
    with contextlib.suppress(ConfigError):
        return check_files(files, root, download=False)
    noise = io.StringIO()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{dataset}-", dir=root) as folder:
            with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
                _reader(dataset)(folder, download=True)
            (root / files.folder).mkdir(parents=True, exist_ok=True)
            for path in files.paths:
                (Path(folder) / path).replace(root / path)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        right = f"{dataset} could not be downloaded; put its files there and set"
        right = f"{right} data.download = false"
        raise ConfigError("data.root", os.fspath(root), f"{right} ({reason})") from None
    check_files(files, root, download=False)
