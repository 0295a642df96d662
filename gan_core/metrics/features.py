"""What a sample looks like in numbers, and which mode of the data it belongs to.

    mixture of Gaussians    the point itself; the Gaussian that it is near
    other points            the point itself; no modes
    images with labels      the last hidden layer and the guess of a small classifier
    stacked_mnist           mnist's classifier on each of the three channels; the three guesses
    images without labels   a fixed linear projection; no modes

The classifiers of digits and mnist ship with us. Others, and projections, are made at first use
and kept in the user's cache (`gan_core.metrics.cache`). A classifier sees what tells classes apart
and little of the style within one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from gan_core.data import Dataset
from gan_core.datasets import DatasetName, sample_shape
from gan_core.metrics.cache import cached_weights
from gan_core.metrics.classifier import Recipe, accuracy, classifier, packed, train_classifier
from gan_core.metrics.modes import NO_MODE, hq_modes
from gan_core.metrics.projection import Projection, fit_projection
from gan_core.mixtures import Mixture

__all__ = ["SHIPPED", "Extractor", "extractor", "weights_file"]

_log = logging.getLogger(__name__)

# Pixels, hidden layers, classes. The last hidden layer is the feature space.
SHIPPED: dict[DatasetName, tuple[int, ...]] = {
    DatasetName.DIGITS: (64, 128, 64, 10),
    DatasetName.MNIST: (784, 256, 64, 10),
}
"""Widths of the classifiers whose weights ship."""

_HIDDEN = (256, 64)
# Training images seen, whatever the dataset's size: some seconds on a CPU.
_IMAGES_SEEN = 512_000
_MOST_EPOCHS = 300
_HELD_OUT_EVERY = 8
# Points of more dimensions are projected: a covariance of each member's takes their square.
_MOST_DIMENSIONS = 1536


class Extractor(Protocol):
    """Turns samples into features and modes.

    Attributes:
        hash: sha256, hexadecimal, of all that the numbers depend on (the weights' file, where
            there are weights): scores compare only where it is the same.
        features_dim: length of a feature vector.
        classes: number of modes; 0 where none can be told.
    """

    hash: str
    features_dim: int
    classes: int

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Features and modes.

        A sample with a NaN or inf gives a meaningless feature and a meaningless mode, and leaves
        the others' as they are.

        Args:
            samples: [N, *sample_shape], float32, on the extractor's device.

        Returns:
            features, [N, features_dim], float32; modes, [N], int64, in [0, classes) or NO_MODE.
        """
        ...


class _Classifier:
    """A trained classifier, cut before its last layer."""

    def __init__(self, network: nn.Sequential, weights_hash: str) -> None:
        self.hash = weights_hash
        self._body, self._head = network[:-1], network[-1]
        assert isinstance(self._head, nn.Linear)  # as `classifier` builds it
        self.features_dim, self.classes = self._head.in_features, self._head.out_features

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        features = self._body(samples)
        return features, self._head(features).argmax(-1)


class _Stacked:
    """A classifier of digits, on each channel: three digits are one number below 1,000."""

    def __init__(self, digits: _Classifier) -> None:
        self._digits = digits
        self.hash = digits.hash
        self.features_dim, self.classes = 3 * digits.features_dim, digits.classes**3

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        features, digits = self._digits(samples.flatten(0, 1).unsqueeze(1))
        places = self._digits.classes ** torch.arange(2, -1, -1, device=digits.device)
        return features.view(-1, self.features_dim), (digits.view(-1, 3) * places).sum(1)


class _Linear:
    """The sample itself, or a projection of it; modes are a mixture's, if there is one."""

    def __init__(
        self, dimensions: int, projection: Projection | None, mixture: Mixture | None, hash_: str
    ) -> None:
        self._projection, self._mixture = projection, mixture
        self.features_dim = dimensions if projection is None else projection.features_dim
        self.classes = 0 if mixture is None else len(mixture.means)
        self.hash = hash_

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        features = samples.flatten(1) if self._projection is None else self._projection(samples)
        if self._mixture is None:
            modes = torch.full((len(samples),), NO_MODE, device=samples.device)
            return features, modes
        return features, hq_modes(samples, self._mixture)


def extractor(dataset: Dataset) -> Extractor:
    """The extractor for a dataset, on its device. Makes and keeps what does not ship.

    Args:
        dataset: whose samples, and those of GANs trained on it, shall be judged.
    """
    is_image = len(dataset.sample_shape) == 3
    if dataset.name in SHIPPED and dataset.sample_shape == sample_shape(dataset.name):
        return _shipped(dataset.name, dataset.device)
    if dataset.name == DatasetName.STACKED_MNIST:
        return _Stacked(_shipped(DatasetName.MNIST, dataset.device))
    if is_image and dataset.labels is not None and len(dataset.classes) > 1:
        return _trained(dataset)
    return _linear(dataset, project=is_image or math.prod(dataset.sample_shape) > _MOST_DIMENSIONS)


def weights_file(dataset: str) -> Path:
    """Where the weights of a dataset in `SHIPPED` lie; made by `train_extractor`."""
    return Path(__file__).parent / "weights" / f"{DatasetName(dataset).value}.safetensors"


def _shipped(dataset: str, device: torch.device) -> _Classifier:
    content = weights_file(dataset).read_bytes()
    widths = SHIPPED[DatasetName(dataset)]
    return _loaded(widths, load(content), hashlib.sha256(content).hexdigest(), device)


def _loaded(
    widths: tuple[int, ...], weights: dict[str, Tensor], hash_: str, device: torch.device
) -> _Classifier:
    network = classifier(widths)
    network.load_state_dict(weights)
    return _Classifier(network.requires_grad_(False).to(device), hash_)


def _trained(dataset: Dataset) -> _Classifier:
    """The classifier of a dataset that has no shipped one; every eighth image is held out."""
    widths = (math.prod(dataset.sample_shape), *_HIDDEN, len(dataset.classes))
    index = torch.arange(len(dataset), device=dataset.device)
    held_out = index % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    epochs = min(_MOST_EPOCHS, math.ceil(_IMAGES_SEEN / len(dataset)))
    recipe = Recipe(epochs=epochs)

    def make() -> bytes:
        _log.info("training a classifier of %s, once: %d epochs", dataset.name, recipe.epochs)
        network = train_classifier(dataset, index[~held_out], widths, recipe)
        network = network.half().float()  # test what is stored
        share = accuracy(network, dataset, index[held_out])
        _log.info("test accuracy %.4f over %d images", share, int(held_out.sum()))
        tested = {"test_accuracy": round(share, 4), "test_images": int(held_out.sum())}
        return packed(network, recipe, {"dataset": dataset.name, **tested})

    key = _key("classifier", dataclasses.asdict(recipe), list(widths), content_hash(dataset))
    return _loaded(widths, *cached_weights(f"classifier-{key}", make), dataset.device)


def _linear(dataset: Dataset, *, project: bool) -> _Linear:
    dimensions, truth = math.prod(dataset.sample_shape), dataset.mixture
    known: list[object] = ["points", dimensions]
    if truth is not None:
        known += [truth.means.tolist(), truth.std, truth.radius_stds]
    if not project:
        return _Linear(dimensions, None, truth, _key(*known))

    def make() -> bytes:
        _log.info("fitting a projection to %s, once", dataset.name)
        return save(fit_projection(dataset))

    key = _key("projection", content_hash(dataset))
    weights, hash_ = cached_weights(f"projection-{key}", make)
    on_device = {name: weight.to(dataset.device) for name, weight in weights.items()}
    return _Linear(dimensions, Projection(**on_device), truth, _key(*known, hash_))


def content_hash(dataset: Dataset) -> str:
    """sha256, hexadecimal, of a dataset's samples and labels."""
    digest = hashlib.sha256(repr((dataset.sample_shape, dataset.levels)).encode())
    for tensor in (dataset.data, dataset.labels):
        if tensor is not None:
            for chunk in tensor.split(4096):
                digest.update(memoryview(chunk.cpu().contiguous().numpy()).cast("B"))
    return digest.hexdigest()


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
