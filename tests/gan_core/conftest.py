"""The yardstick of exactness: one GAN trained alone, as a tutorial would write it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_core.config import CohortConfig, GanConfig
from gan_core.data import Dataset, load_dataset
from gan_core.networks.catalog import build
from gan_core.noise import Purpose, batch_indices, latents, stream_key, uniforms


@dataclass
class Alone:
    G: nn.Module
    D: nn.Module
    d_losses: list[float]
    g_losses: list[float]


def _d_loss(config: GanConfig, a: Tensor, b: Tensor) -> Tensor:
    match config.loss.value:
        case "minimax" | "nonsaturating":
            target = torch.full_like(a, 1 - config.label_smoothing)
            return bce(a, target) + bce(b, torch.zeros_like(b))
        case "lsgan":
            return 0.5 * ((a - 1) ** 2).mean() + 0.5 * (b**2).mean()
        case "hinge":
            return torch.relu(1 - a).mean() + torch.relu(1 + b).mean()
        case "wgan" | "wgan-gp":
            return b.mean() - a.mean()


def _g_loss(config: GanConfig, b: Tensor) -> Tensor:
    match config.loss.value:
        case "minimax":
            return -bce(b, torch.zeros_like(b))
        case "nonsaturating":
            return bce(b, torch.ones_like(b))
        case "lsgan":
            return 0.5 * ((b - 1) ** 2).mean()
        case _:
            return -b.mean()


def _penalty(config: GanConfig, D: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    x = (mix * real + (1 - mix) * fake).requires_grad_()
    gradient = torch.autograd.grad(D(x).sum(), x, create_graph=True)[0]
    return config.gp_weight * ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def train_alone(config: GanConfig, cohort: CohortConfig, dataset: Dataset, steps: int) -> Alone:
    """An ordinary loop: modules, torch.optim.Adam, backward; only the draws are gan_core's."""
    dtype = {"float32": torch.float32, "float64": torch.float64}[cohort.precision.value]
    G, D = build(cohort, config.latent_dim, dataset.sample_shape, config.seed)
    G, D = G.to(dtype), D.to(dtype)
    betas = (config.beta1, config.beta2)
    adam_g = torch.optim.Adam(G.parameters(), lr=config.lr_g, betas=betas)
    adam_d = torch.optim.Adam(D.parameters(), lr=config.lr_d, betas=betas)
    alone = Alone(G, D, [], [])
    batch, seed = cohort.batch_size, torch.tensor([config.seed])
    for step in range(steps):
        for substep in range(config.d_steps):

            def key(purpose, step=step, substep=substep):
                return stream_key(seed, purpose, torch.tensor([step]), torch.tensor([substep]))

            rows = batch_indices(key(Purpose.BATCH), batch, len(dataset.images))
            real = dataset.batch(rows, dtype)[0]
            lengths = torch.tensor([config.latent_dim])
            z = latents(
                key(Purpose.LATENT),
                batch,
                config.latent_dim,
                noise=cohort.noise,
                lengths=lengths,
                dtype=dtype,
            )[0]
            fake = G(z)
            adam_d.zero_grad()
            loss = _d_loss(config, D(real), D(fake.detach()))
            alone.d_losses.append(loss.item())
            if config.loss.value == "wgan-gp":
                mix = uniforms(key(Purpose.INTERPOLATION), batch, 1, dtype)[0, :, :, None, None]
                loss = loss + _penalty(config, D, real, fake.detach(), mix)
            loss.backward()
            adam_d.step()
            if config.loss.value == "wgan":
                with torch.no_grad():
                    for parameter in D.parameters():
                        parameter.clamp_(-config.clip_value, config.clip_value)
        adam_g.zero_grad()
        loss = _g_loss(config, D(fake))
        alone.g_losses.append(loss.item())
        loss.backward()
        adam_g.step()
    return alone


@pytest.fixture(scope="session")
def solo() -> Callable[[GanConfig, CohortConfig, Dataset, int], Alone]:
    return train_alone


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")
