"""An ordinary loop over one GAN: modules, `torch.optim.Adam`, `BCEWithLogitsLoss`.

The data is in memory, already in [-1, 1]. The iteration is `gan_core`'s: D on a real and a fake
batch, then G on the same fakes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.cases import Case
from gan_core.data import Dataset
from gan_core.networks.catalog import build

__all__ = ["Solo"]


class Solo:
    """One GAN in training.

    Args:
        case: its networks and its batch size.
        dataset: on the device where it trains.
        lr_g: Adam's rate for G.
        lr_d: and for D.
        latent_dim: length of z; None takes the case's.
        label_smoothing: D's target of real images is 1 minus this.
        seed: of the initial weights.
    """

    def __init__(
        self,
        case: Case,
        dataset: Dataset,
        *,
        lr_g: float = 2e-4,
        lr_d: float = 2e-4,
        latent_dim: int | None = None,
        label_smoothing: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._device, self._batch_size = dataset.device, case.batch_size
        self._latent_dim = latent_dim or case.latent_dim
        G, D = build(case.shared, self._latent_dim, dataset.sample_shape, seed)
        self.G, self.D = G.to(self._device), D.to(self._device)
        self._adam_g = torch.optim.Adam(self.G.parameters(), lr=lr_g, betas=(0.5, 0.999))
        self._adam_d = torch.optim.Adam(self.D.parameters(), lr=lr_d, betas=(0.5, 0.999))
        self._loss = nn.BCEWithLogitsLoss()
        ones = torch.ones(case.batch_size, device=self._device)
        self._real, self._valid, self._fake = ones - label_smoothing, ones, 0 * ones
        self._batches = self.batches(dataset)

    def batches(self, dataset: Dataset) -> Iterator[Tensor]:
        """Real batches without end, [batch, *sample_shape]."""
        samples = dataset.batch(torch.arange(len(dataset), device=self._device))
        while True:
            yield samples[torch.randint(len(samples), (self._batch_size,), device=self._device)]

    def train(self, steps: int) -> None:
        """Makes so many updates of D and of G."""
        for _ in range(steps):
            real = next(self._batches)
            fake = self.G(self._noise(self._batch_size))
            self._adam_d.zero_grad()
            loss = self._loss(self.D(real), self._real)
            loss = loss + self._loss(self.D(fake.detach()), self._fake)
            loss.backward()
            self._adam_d.step()
            self._adam_g.zero_grad()
            self._loss(self.D(fake), self._valid).backward()
            self._adam_g.step()

    @torch.no_grad()
    def generate(self, count: int) -> Tensor:
        """So many samples."""
        return self.G(self._noise(count))

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self._latent_dim, device=self._device)
