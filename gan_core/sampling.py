"""Images from one plain generator: its fixed evaluation noise, and the ways between two z."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_core.config import Noise
from gan_core.export import MemberConfig
from gan_core.noise import Purpose, latents, normals, stream_key

__all__ = ["class_labels", "evaluation_latents", "generate", "interpolate"]

_PARALLEL = 1e-3  # sine of an angle that float32's arc cosine still tells from 0 or pi


def evaluation_latents(config: MemberConfig, count: int, *, device: str = "cpu") -> Tensor:
    """The z that the member was judged by: `Cohort.generate` takes these at every rung.

    Args:
        config: of the member.
        count: latent vectors; fewer are the first of more.
        device: of the result.

    Returns:
        [count, latent_dim], of the member's own latent dimension.
    """
    length = config.gan.latent_dim
    lengths = torch.full((1,), length, device=device)
    key, noise = _key(config, 0, device), config.cohort.noise
    return latents(key, count, length, noise=noise, lengths=lengths, dtype=config.dtype)[0]


def class_labels(config: MemberConfig, count: int, *, device: str = "cpu") -> Tensor | None:
    """Labels round the classes, as `Cohort.generate` has them; None of unconditional networks.

    Returns:
        int64 [count]: i modulo the number of classes.
    """
    if not config.cohort.conditional:
        return None
    return torch.arange(count, device=device) % len(config.classes)


@torch.no_grad()
def generate(
    G: nn.Module,
    config: MemberConfig,
    z: Tensor,
    labels: Tensor | None = None,
    *,
    batch_size: int | None = None,
) -> Tensor:
    """Samples of one plain generator, in evaluation mode.

    Args:
        G: from `gan_core.export.load_member`.
        config: likewise.
        z: [N, latent_dim].
        labels: int64 [N], for conditional networks alone; round the classes by default.
        batch_size: samples at once, which bounds the memory; all by default.

    Returns:
        [N, *sample_shape], images in [-1, 1]. Noise of the network's own is that of its evaluation,
        by row: with `evaluation_latents` these are the samples that the member was judged by.
    """
    device = str(z.device)
    inputs = [z, class_labels(config, len(z), device=device) if labels is None else labels]
    if noise_numel := int(getattr(G, "noise_numel", 0)):
        inputs.append(normals(_key(config, 1, device), len(z), noise_numel, z.dtype)[0])
    batches = (given.split(batch_size or len(z)) for given in inputs if given is not None)
    return torch.cat([G(*batch) for batch in zip(*batches, strict=True)])


def _key(config: MemberConfig, substep: int, device: str) -> Tensor:
    zero = torch.zeros(1, dtype=torch.int64, device=device)
    return stream_key(zero + config.gan.seed, Purpose.EVALUATION, zero, zero + substep)


def interpolate(first: Tensor, last: Tensor, steps: int, noise: Noise) -> Tensor:
    """A way from one z to another along which G meets only what it was trained on.

    A normal z lies near a sphere, whose middle G never saw, so its way is the arc
    sin((1 - t) w)/sin(w) first + sin(t w)/sin(w) last, w the angle between the two (Shoemake
    1985, "Animating rotation with quaternion curves"; White 2016, arXiv:1609.04468, sec. 2). A
    uniform z fills a convex cube: its way is the straight line, and so is a normal one's between
    parallel vectors, such as those of a single dimension.

    Args:
        first: [..., latent_dim].
        last: of the same shape.
        steps: points, both ends included, >= 2.
        noise: distribution of z.

    Returns:
        [..., steps, latent_dim]; the ends are `first` and `last` bit for bit.
    """
    t = torch.linspace(0, 1, steps, dtype=first.dtype, device=first.device)[:, None]
    a, b = first.unsqueeze(-2), last.unsqueeze(-2)
    straight = (1 - t) * a + t * b
    if noise is not Noise.NORMAL:
        return straight
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)[..., None]
    angle = cosine.acos()
    sine = angle.sin()
    arc = ((1 - t) * angle).sin() / sine * a + (t * angle).sin() / sine * b
    return torch.where(sine.abs() > _PARALLEL, arc, straight)
