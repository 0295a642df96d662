"""How a class label enters G and D; without classes both are as if it did not exist."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_core.config import Normalisation
from gan_core.networks.norms import embedding, linear

__all__ = ["LatentInput", "LogitHead"]

_LARGEST_EMBEDDING = 64


class LatentInput(nn.Module):
    """(z, labels) -> the label's embedding, then z, side by side (Mirza and Osindero 2014).

    arXiv:1411.1784, sec. 3.2. The embedding has as many entries as there are classes, at most 64.
    It comes first, so that columns for a longer z come last in the layer that follows: a shorter
    z padded with zeros then meets the weights it would meet alone.

    Attributes:
        features: length of the output.
    """

    def __init__(self, latent_dim: int, classes: int) -> None:
        super().__init__()
        entries = min(classes, _LARGEST_EMBEDDING)
        self.features = entries + latent_dim
        self.embedding = nn.Embedding(classes, entries) if classes else None

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z: [batch, latent_dim]; labels: int64 [batch], with classes -> [batch, features]."""
        if self.embedding is None:
            _refuse(labels)
            return z
        return torch.cat((self.embedding(labels), z), dim=1)


class LogitHead(nn.Module):
    """D's last layer: w h + b, with classes + <embedding(label), h> (projection).

    Miyato and Koyama 2018, arXiv:1802.05637, eq. 3, with h = phi(x) and an affine psi.
    """

    def __init__(self, features: int, classes: int, norm: Normalisation) -> None:
        super().__init__()
        self.linear = linear(features, 1, norm)
        self.embedding = embedding(classes, features, norm) if classes else None

    def forward(self, h: Tensor, labels: Tensor | None = None) -> Tensor:
        """h: [batch, features]; labels: int64 [batch], with classes -> logits [batch]."""
        logits = self.linear(h).squeeze(1)
        if self.embedding is None:
            _refuse(labels)
            return logits
        return logits + (self.embedding(labels) * h).sum(dim=1)


def _refuse(labels: Tensor | None) -> None:
    if labels is not None:
        raise TypeError("labels for a network that was built without classes")
