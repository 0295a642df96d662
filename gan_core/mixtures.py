"""Mixtures of Gaussians: data whose modes are known exactly.

All modes are equally likely, isotropic and of one standard deviation. `ring8` and `grid25` are
laid out as VEEGAN (Srivastava et al. 2017, arXiv:1705.07761) and PacGAN (Lin et al. 2018,
arXiv:1712.04086, sec. 4.1; code fjxmlzn/PacGAN) have them; the `gan_toy` layouts are those of
igul222/improved_wgan_training, which differ from these in scale alone.

`mixture1200` has PacGAN's ten means, m_k in each of 1200 dimensions. There, 500 dimensions have
no noise, so that no generator could meet them; here all 1200 have a standard deviation of 1. It has
25,000 points instead of 100,000, which would take half a gigabyte.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_core.datasets import DatasetName

__all__ = ["MIXTURES", "Mixture", "draw", "mixture", "points_of"]


@dataclass(frozen=True, eq=False)
class Mixture:
    """K equally likely modes N(means_k, std^2 I)."""

    means: Tensor
    """[K, dimensions], float64."""
    std: float
    radius_stds: float = 3.0
    """A point is of high quality if it is nearer than this many std to a mode's mean. By
    default three, which in 2 dimensions holds 1 - exp(-4.5) = 0.98889 of a Gaussian."""

    @property
    def mean(self) -> Tensor:
        """[dimensions]: the mixture's exact mean."""
        return self.means.mean(0)

    @property
    def covariance(self) -> Tensor:
        """[dimensions, dimensions]: std^2 I and that of the means."""
        centred = self.means - self.mean
        within = self.std**2 * torch.eye(len(self.mean)).to(self.means)
        return within + centred.T @ centred / len(self.means)

    def to(self, device: str | torch.device) -> Mixture:
        """The same on a device."""
        return Mixture(self.means.to(device), self.std, self.radius_stds)


def _ring(radius: float, std: float) -> Mixture:
    angles = torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
    return Mixture(radius * torch.stack((angles.cos(), angles.sin()), 1), std)


def _grid(scale: float) -> Mixture:
    ticks = (-4.0, -2.0, 0.0, 2.0, 4.0)
    means = torch.tensor(list(itertools.product(ticks, ticks)), dtype=torch.float64)
    return Mixture(means / scale, 0.05 / scale)


def _mixture1200() -> Mixture:
    means = [-1, -0.5, 0, 0.5, -2, -2.5, 10, 0.25, -13, -5.5]
    # Three std hold nothing in 1200 dimensions, where a point lies some 35 from its mean; this
    # radius holds the same 1 - exp(-4.5) as three do in 2 (the root of chi-squared's quantile).
    return Mixture(
        torch.tensor(means, dtype=torch.float64)[:, None].repeat(1, 1200), 1.0, 36.26059224242745
    )


MIXTURES = {
    DatasetName.RING8: lambda: _ring(1, 0.01),
    DatasetName.RING8_STD05: lambda: _ring(1, 0.05),
    DatasetName.RING8_GAN_TOY: lambda: _ring(2 / 1.414, 0.02 / 1.414),
    DatasetName.GRID25: lambda: _grid(1),
    DatasetName.GRID25_GAN_TOY: lambda: _grid(2.828),
    DatasetName.MIXTURE1200: _mixture1200,
}
"""What makes each of them."""


def mixture(name: str) -> Mixture:
    """The ground truth of a mixture by its name.

    Args:
        name: one of `MIXTURES`.
    """
    return MIXTURES[DatasetName(name)]()


def points_of(name: str) -> int:
    """How many points the dataset has."""
    return 25_000 if name == DatasetName.MIXTURE1200 else 100_000


def draw(truth: Mixture, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draws points; torch's global stream is left alone.

    Args:
        truth: on the CPU.
        n: how many.
        seed: the same gives the same points.

    Returns:
        points, [n, dimensions], float32; modes, [n], int64, which they were drawn from.
    """
    random = torch.Generator().manual_seed(seed)
    modes = torch.randint(len(truth.means), (n,), generator=random)
    noise = torch.randn(n, truth.means.shape[1], generator=random)
    return noise.mul_(truth.std).add_(truth.means.float()[modes]), modes
