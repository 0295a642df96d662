"""Makes the weights that ship in `gan_core/metrics/weights`.

    python -m gan_core.metrics.train_extractor digits
    python -m gan_core.metrics.train_extractor mnist --root data

digits is trained on three images in four and tested on every fourth; mnist on its train split and
tested on its test split. The same seed, versions and thread count give the same file.
"""

from __future__ import annotations

import argparse
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_core.config import ConfigError
from gan_core.data import Dataset, load_dataset
from gan_core.datasets import DatasetName
from gan_core.metrics.classifier import Recipe, accuracy, packed, train_classifier
from gan_core.metrics.features import SHIPPED, weights_file

__all__ = ["Split", "load_split", "main", "recipe"]

_log = logging.getLogger(__name__)


def recipe(dataset: str) -> Recipe:
    """The recipe of the shipped weights."""
    return Recipe(epochs=300 if dataset == DatasetName.DIGITS else 40)


@dataclass(frozen=True, eq=False)
class Split:
    """What to train on and what to test on: datasets, and [n] indices into each."""

    train: Dataset
    train_indices: Tensor
    test: Dataset
    test_indices: Tensor


def load_split(dataset: str, root: str | os.PathLike[str] | None = None) -> Split:
    """The images to train on and those held out.

    Args:
        dataset: digits or mnist.
        root: directory of the files, see `gan_core.datasets.check_dataset`.

    Raises:
        ConfigError: the files are not there.
    """
    data = load_dataset(dataset, root=root)
    index = torch.arange(len(data))
    if dataset == DatasetName.DIGITS:
        held_out = index % 4 == 3
        return Split(data, index[~held_out], data, index[held_out])
    test = load_dataset(dataset, root=root, train=False)
    return Split(data, index, test, torch.arange(len(test)))


def main(arguments: list[str] | None = None) -> int:
    """Trains, tests and writes the classifier of one dataset."""
    parser = argparse.ArgumentParser(description="Make the weights of a dataset's classifier.")
    parser.add_argument("dataset", choices=[d.value for d in SHIPPED])
    parser.add_argument("--root", help="directory of the dataset's files")
    parser.add_argument("--out", type=Path, help="file to write; by default the one we ship")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        split = load_split(options.dataset, options.root)
    except ConfigError as error:
        parser.error(str(error))
    how, widths = recipe(options.dataset), SHIPPED[DatasetName(options.dataset)]
    network = train_classifier(split.train, split.train_indices, widths, how)
    network = network.half().float()  # test what is stored
    share = accuracy(network, split.test, split.test_indices)
    _log.info("test accuracy %.4f over %d images", share, len(split.test_indices))
    made = {
        "dataset": options.dataset,
        "test_accuracy": round(share, 4),
        "test_images": len(split.test_indices),
    }
    file = options.out or weights_file(options.dataset)
    file.write_bytes(packed(network, how, made))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
