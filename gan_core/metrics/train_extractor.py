"""Makes the weights of `gan_core.metrics.features`.

    python -m gan_core.metrics.train_extractor digits
    python -m gan_core.metrics.train_extractor mnist --root data

A GAN's samples lie beside the data: noisy, shifted, half drawn. So every training image is shifted
by up to a pixel and given noise of a random strength, or a little noise would throw the
classifier off and its features would measure that instead of the picture.

digits is trained on three images in four and tested on every fourth; mnist on its train split and
tested on its test split. The same seed, versions and thread count give the same file.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from gan_core.config import ConfigError
from gan_core.data import Dataset, load_dataset
from gan_core.datasets import DatasetName
from gan_core.metrics.features import classifier, weights_file

__all__ = [
    "Recipe",
    "Split",
    "accuracy",
    "load_split",
    "main",
    "recipe",
    "save_classifier",
    "train_classifier",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a classifier is trained: AdamW, with its rate falling to zero along a cosine."""

    epochs: int
    """Passes over the training images."""
    shift_pixels: int = 1
    """Greatest shift of an image along each axis."""
    noise_std: float = 0.2
    """Strength of the noise on an image is uniform between 0 and this; pixels span 2."""
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.1
    seed: int = 0


def recipe(dataset: str) -> Recipe:
    """The recipe of the shipped weights."""
    match DatasetName(dataset):
        case DatasetName.DIGITS:
            return Recipe(epochs=300)
        case DatasetName.MNIST:
            return Recipe(epochs=40)


@dataclass(frozen=True, eq=False)
class Split:
    """Images [n, c, h, w] in [-1, 1], float32, with labels [n], int64; the test part held out."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_split(dataset: str, root: str | os.PathLike[str] | None = None) -> Split:
    """The images to train on and those to test on.

    Args:
        dataset: a `DatasetName`.
        root: directory of the files, see `gan_core.datasets.check_dataset`.

    Raises:
        ConfigError: the files are not there.
    """
    data = load_dataset(dataset, root=root)
    index = torch.arange(len(data.images))
    match DatasetName(dataset):
        case DatasetName.DIGITS:
            held_out = index % 4 == 3
            return Split(*_part(data, index[~held_out]), *_part(data, index[held_out]))
        case DatasetName.MNIST:
            test = load_dataset(dataset, root=root, train=False)
            return Split(*_part(data, index), *_part(test, torch.arange(len(test.images))))


def _part(data: Dataset, index: Tensor) -> tuple[Tensor, Tensor]:
    assert data.labels is not None
    return data.batch(index), data.labels[index]


def train_classifier(dataset: str, images: Tensor, labels: Tensor, recipe: Recipe) -> nn.Sequential:
    """Trains a classifier; all its random numbers come from `recipe.seed`.

    Args:
        dataset: a `DatasetName`.
        images: [n, channels, height, width], float32, in [-1, 1].
        labels: [n], int64.
        recipe: how.
    """
    random = torch.Generator().manual_seed(recipe.seed)
    network = _initialised(classifier(dataset), random)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
    )
    for epoch in range(recipe.epochs):
        batches = torch.randperm(len(images), generator=random).split(recipe.batch_size)
        for i, batch in enumerate(batches):
            progress = (epoch + i / len(batches)) / recipe.epochs
            optimizer.param_groups[0]["lr"] = recipe.lr * (1 + math.cos(math.pi * progress)) / 2
            seen = _augmented(images[batch], recipe, random)
            loss = functional.cross_entropy(network(seen), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        _log.info("epoch %d of %d: loss %.4f", epoch + 1, recipe.epochs, loss.item())
    return network


def _initialised(network: nn.Sequential, random: torch.Generator) -> nn.Sequential:
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=random)
            nn.init.zeros_(layer.bias)
    return network


def _augmented(images: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    """Shifted images with noise, black where nothing was."""
    n, c, h, w = images.shape
    s = recipe.shift_pixels
    padded = functional.pad(images, (s, s, s, s), value=-1)
    top, left = torch.randint(2 * s + 1, (2, n, 1), generator=random)
    rows, columns = top + torch.arange(h), left + torch.arange(w)
    each = torch.arange(n)[:, None, None]
    shifted = padded.movedim(1, -1)[each, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
    std = recipe.noise_std * torch.rand(n, 1, 1, 1, generator=random)
    return shifted + std * torch.randn(n, c, h, w, generator=random)


@torch.no_grad()
def accuracy(network: nn.Sequential, images: Tensor, labels: Tensor) -> float:
    """Share of images whose class is guessed rightly."""
    return (network(images).argmax(-1) == labels).double().mean().item()


def save_classifier(network: nn.Sequential, path: Path, made: dict[str, object]) -> None:
    """Writes the weights as float16: half the size, and the accuracy is the same.

    Args:
        network: what to write.
        path: where.
        made: how it was made and how well it does, for the file's metadata. One JSON value under
            "made", because safetensors writes several in another order each time.
    """
    weights = {name: w.detach().half().contiguous() for name, w in network.state_dict().items()}
    path.write_bytes(save(weights, {"made": json.dumps(made)}))


def main(arguments: list[str] | None = None) -> int:
    """Trains, tests and writes the classifier of one dataset."""
    parser = argparse.ArgumentParser(description="Make the weights of a dataset's classifier.")
    parser.add_argument("dataset", choices=[d.value for d in DatasetName])
    parser.add_argument("--root", help="directory of the dataset's files")
    parser.add_argument("--out", type=Path, help="file to write; by default the one we ship")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        split = load_split(options.dataset, options.root)
    except ConfigError as error:
        parser.error(str(error))
    how = recipe(options.dataset)
    network = train_classifier(options.dataset, split.images, split.labels, how)
    network = network.half().float()  # test what is stored
    share = accuracy(network, split.test_images, split.test_labels)
    _log.info("test accuracy %.4f over %d images", share, len(split.test_labels))
    made = {
        "dataset": options.dataset,
        "test_accuracy": round(share, 4),
        "test_images": len(split.test_labels),
        "recipe": dataclasses.asdict(how),
        "torch": str(torch.__version__),
    }
    save_classifier(network, options.out or weights_file(options.dataset), made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
