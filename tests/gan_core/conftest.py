"""The yardstick of exactness: one GAN trained alone, as a tutorial would write it."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_core.config import CohortConfig, GanConfig
from gan_core.data import Dataset, load_dataset
from gan_core.networks.catalog import build
from gan_core.noise import Purpose, batch_indices, latents, normals, stream_key, uniforms


@dataclass
class Alone:
    G: nn.Module
    D: nn.Module
    average: nn.Module
    d_losses: list[float]
    g_losses: list[float]


def _d_loss(config: GanConfig, a: Tensor, b: Tensor) -> Tensor:
    match config.loss.value:
        case "minimax" | "nonsaturating" | "dragan" | "r1":
            target = torch.full_like(a, 1 - config.label_smoothing)
            return bce(a, target) + bce(b, torch.zeros_like(b))
        case "lsgan":
            return 0.5 * ((a - 1) ** 2).mean() + 0.5 * (b**2).mean()
        case "hinge":
            return torch.relu(1 - a).mean() + torch.relu(1 + b).mean()
        case "wasserstein" | "wgan" | "wgan-gp":
            return b.mean() - a.mean()
        case "relativistic" | "r3gan":
            return bce(a - b, torch.ones_like(a))


def _g_loss(config: GanConfig, a: Tensor, b: Tensor) -> Tensor:
    match config.loss.value:
        case "minimax":
            return -bce(b, torch.zeros_like(b))
        case "nonsaturating" | "dragan" | "r1":
            return bce(b, torch.ones_like(b))
        case "lsgan":
            return 0.5 * ((b - 1) ** 2).mean()
        case "relativistic" | "r3gan":
            return bce(b - a, torch.ones_like(b))
        case _:
            return -b.mean()


def _penalty(config: GanConfig, judge, real: Tensor, fake: Tensor, draw) -> Tensor | float:
    def gradient(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(judge(x).sum(), x, create_graph=True)[0].flatten(1)

    def share() -> Tensor:
        return draw(Purpose.INTERPOLATION, 1).view(-1, *[1] * (real.dim() - 1))

    match config.penalty:
        case "wgan-gp":
            mix = share()
            norm = gradient(mix * real + (1 - mix) * fake).norm(dim=1)
            return config.gp_weight * ((norm - 1) ** 2).mean()
        case "dragan":
            noise = draw(Purpose.PERTURBATION, real[0].numel()).view_as(real)
            norm = gradient(real + share() * 0.5 * real.std(correction=0) * noise).norm(dim=1)
            return config.dragan_weight * ((norm - 1) ** 2).mean()
        case "r1":
            return config.r1_gamma / 2 * (gradient(real) ** 2).sum(1).mean()
        case "r1r2":
            both = gradient(torch.cat((real, fake)))
            # A mean over pairs of the sum of both is twice the mean over all samples.
            return config.r1_gamma / 2 * 2 * (both**2).sum(1).mean()
    return 0.0


def _rate(config: GanConfig, cohort: CohortConfig, step: int) -> float:
    match config.lr_schedule:
        case "linear":
            return 1 - step / cohort.schedule_steps
        case "cosine":
            return (1 + math.cos(math.pi * step / cohort.schedule_steps)) / 2
    return 1.0


def train_alone(config: GanConfig, cohort: CohortConfig, dataset: Dataset, steps: int) -> Alone:
    """An ordinary loop: modules, torch.optim.Adam, backward; only the draws are gan_core's."""
    dtype = {"float32": torch.float32, "float64": torch.float64}[cohort.precision.value]
    classes = len(dataset.classes) if cohort.conditional else 0
    G, D = build(
        cohort,
        latent_dim=config.latent_dim,
        sample_shape=dataset.sample_shape,
        seed=config.seed,
        d_norm=config.d_norm,
        classes=classes,
    )
    G, D = G.to(dtype), D.to(dtype)
    betas = (config.beta1, config.beta2)
    adam_g = torch.optim.Adam(G.parameters(), lr=config.lr_g, betas=betas)
    adam_d = torch.optim.Adam(D.parameters(), lr=config.lr_d, betas=betas)
    average = copy.deepcopy(G)
    alone = Alone(G, D, average, [], [])
    batch, seed = cohort.batch_size, torch.tensor([config.seed])
    for step in range(steps):
        for adam, lr in ((adam_g, config.lr_g), (adam_d, config.lr_d)):
            adam.param_groups[0]["lr"] = lr * _rate(config, cohort, step)
        for substep in range(config.d_steps):

            def key(purpose, step=step, substep=substep):
                return stream_key(seed, purpose, torch.tensor([step]), torch.tensor([substep]))

            def draw(purpose, columns, key=key):
                return uniforms(key(purpose), batch, columns, dtype)[0]

            def noisy(x, purpose, key=key):
                if config.instance_noise == 0:
                    return x
                noise = normals(key(purpose), batch, x[0].numel(), dtype)[0]
                return x + config.instance_noise * noise.view_as(x)

            rows = batch_indices(key(Purpose.BATCH), batch, len(dataset))
            real = dataset.batch(rows, dtype)[0]
            labels = (dataset.labels[rows][0],) if classes else ()
            z = latents(
                key(Purpose.LATENT),
                batch,
                config.latent_dim,
                noise=cohort.noise,
                lengths=torch.tensor([config.latent_dim]),
                dtype=dtype,
            )[0]
            wanted = getattr(G, "noise_numel", 0)
            own = (normals(key(Purpose.NETWORK), batch, wanted, dtype)[0],) if wanted else ()
            fake = G(z, *labels, *own)

            def judge(x, labels=labels):
                return D(x, *(given.repeat(len(x) // batch) for given in labels))

            seen_real = noisy(real, Purpose.REAL_NOISE)
            seen_fake = noisy(fake.detach(), Purpose.FAKE_NOISE)
            adam_d.zero_grad()
            if config.d_norm == "batch":
                a, b = judge(seen_real), judge(seen_fake)
            else:
                a, b = judge(torch.cat((seen_real, seen_fake))).chunk(2)
            loss = _d_loss(config, a, b)
            alone.d_losses.append(loss.item())
            (loss + _penalty(config, judge, seen_real, seen_fake, draw)).backward()
            adam_d.step()
            if config.penalty == "clip":
                with torch.no_grad():
                    for parameter in D.parameters():
                        parameter.clamp_(-config.clip_value, config.clip_value)
        adam_g.zero_grad()
        b = judge(noisy(fake, Purpose.FAKE_NOISE_OF_G))
        paired = config.loss.value in ("relativistic", "r3gan")
        loss = _g_loss(config, judge(seen_real).detach() if paired else None, b)
        alone.g_losses.append(loss.item())
        loss.backward()
        adam_g.step()
        if config.ema_half_life_images is not None:
            decay = 0.5 ** (batch / config.ema_half_life_images)
            for mean, now in zip(average.parameters(), G.parameters(), strict=True):
                mean.data = decay * mean.data + (1 - decay) * now.data
    return alone


@pytest.fixture(scope="session")
def solo() -> Callable[[GanConfig, CohortConfig, Dataset, int], Alone]:
    return train_alone


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")
