"""A small classifier of a dataset: its network and how it is trained.

A perceptron on pixels, which costs a CPU next to nothing. A GAN's samples lie beside the data:
noisy, shifted, half drawn. So every training image is shifted by up to a pixel and given noise
of a random strength, or a little noise would throw the classifier off and its features would
measure that instead of the picture.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from gan_core.data import Dataset

__all__ = ["Recipe", "accuracy", "classifier", "packed", "train_classifier"]

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


def classifier(widths: Sequence[int]) -> nn.Sequential:
    """The untrained network: linear layers with ReLU in between, logits at the end.

    Args:
        widths: pixels, units of the hidden layers, classes. The last hidden layer's are the
            features.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for width, following in itertools.pairwise(widths):
        # skip_init draws nothing from the global random stream
        layers += [nn.utils.skip_init(nn.Linear, width, following), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train_classifier(
    data: Dataset, indices: Tensor, widths: Sequence[int], recipe: Recipe
) -> nn.Sequential:
    """Trains a classifier on the data's device; all its random numbers come from `recipe.seed`.

    Args:
        data: images with labels.
        indices: [n], int64: those to train on.
        widths: see `classifier`.
        recipe: how.
    """
    assert data.labels is not None
    random = torch.Generator(data.device).manual_seed(recipe.seed)
    network = _initialised(classifier(widths).to(data.device), random)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
    )
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(indices), generator=random, device=data.device)
        batches = indices[order].split(recipe.batch_size)
        for i, batch in enumerate(batches):
            progress = (epoch + i / len(batches)) / recipe.epochs
            optimizer.param_groups[0]["lr"] = recipe.lr * (1 + math.cos(math.pi * progress)) / 2
            seen = _augmented(data.batch(batch), recipe, random)
            loss = functional.cross_entropy(network(seen), data.labels[batch])
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
    s, device = recipe.shift_pixels, images.device
    padded = functional.pad(images, (s, s, s, s), value=-1)
    top, left = torch.randint(2 * s + 1, (2, n, 1), generator=random, device=device)
    rows, columns = top + torch.arange(h, device=device), left + torch.arange(w, device=device)
    each = torch.arange(n, device=device)[:, None, None]
    shifted = padded.movedim(1, -1)[each, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
    std = recipe.noise_std * torch.rand(n, 1, 1, 1, generator=random, device=device)
    return shifted + std * torch.randn(n, c, h, w, generator=random, device=device)


@torch.no_grad()
def accuracy(network: nn.Sequential, data: Dataset, indices: Tensor) -> float:
    """Share of the images at `indices` whose class is guessed rightly; NaN for none."""
    assert data.labels is not None
    right = [network(data.batch(i)).argmax(-1) == data.labels[i] for i in indices.split(4096)]
    return torch.cat(right).double().mean().item() if right else math.nan


def packed(network: nn.Sequential, recipe: Recipe, made: dict[str, object]) -> bytes:
    """A safetensors file of the weights as float16: half the size, and the same accuracy.

    Args:
        network: what to write.
        recipe: how it was trained.
        made: what else is to be known of it, such as how well it does. With the recipe it is the
            file's metadata, one JSON value under "made", because safetensors writes several in
            another order each time.
    """
    made = {**made, "recipe": dataclasses.asdict(recipe), "torch": str(torch.__version__)}
    state = network.state_dict()
    weights = {name: w.detach().half().contiguous().cpu() for name, w in state.items()}
    return save(weights, {"made": json.dumps(made)})
