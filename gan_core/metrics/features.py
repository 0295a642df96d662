"""What an image looks like to a small classifier of its dataset, fixed and shipped with us.

The classifier is a perceptron on pixels, which costs a CPU next to nothing; its last hidden layer
is the feature space of the Frechet distance and its guess is the mode of a sample. It sees what
tells classes apart and little of the style within one.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from gan_core.datasets import DatasetName

__all__ = ["FeatureExtractor", "classifier", "extractor", "weights_file"]

# Pixels, hidden layers, classes. The last hidden layer is the feature space.
_WIDTHS: dict[DatasetName, tuple[int, ...]] = {
    DatasetName.DIGITS: (64, 128, 64, 10),
    DatasetName.MNIST: (784, 256, 64, 10),
}


class FeatureExtractor:
    """A trained classifier, cut before its last layer.

    Attributes:
        hash: sha256 of the weights' file, hexadecimal: scores compare only where it is the same.
        features_dim: length of a feature vector.
        classes: number of classes it can tell apart.
    """

    def __init__(self, network: nn.Sequential, weights_hash: str) -> None:
        self.hash = weights_hash
        self._body, self._head = network[:-1], network[-1]
        assert isinstance(self._head, nn.Linear)  # as `classifier` builds it
        self.features_dim, self.classes = self._head.in_features, self._head.out_features

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and guessed classes.

        An image with a NaN or inf gives meaningless features and a meaningless class, and leaves
        the other images' as they are.

        Args:
            images: [N, channels, height, width], float32, in [-1, 1], on the extractor's device.

        Returns:
            features, [N, features_dim], float32, >= 0; classes, [N], int64.
        """
        features = self._body(images)
        return features, self._head(features).argmax(-1)


def extractor(dataset: str, device: str | torch.device = "cpu") -> FeatureExtractor:
    """The extractor that ships with us for a dataset; every call reads the same weights.

    Args:
        dataset: a `DatasetName`.
        device: where it shall work.
    """
    content = weights_file(dataset).read_bytes()
    network = classifier(dataset)
    network.load_state_dict(load(content))
    network.requires_grad_(False).to(device)
    return FeatureExtractor(network, hashlib.sha256(content).hexdigest())


def classifier(dataset: str) -> nn.Sequential:
    """The untrained classifier: linear layers with ReLU in between, logits at the end.

    Args:
        dataset: a `DatasetName`.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for width, following in itertools.pairwise(_WIDTHS[DatasetName(dataset)]):
        # skip_init draws nothing from the global random stream
        layers += [nn.utils.skip_init(nn.Linear, width, following), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def weights_file(dataset: str) -> Path:
    """Where the weights of a dataset's classifier lie; made by `train_extractor`."""
    return Path(__file__).parent / "weights" / f"{DatasetName(dataset).value}.safetensors"
