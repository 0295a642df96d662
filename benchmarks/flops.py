"""Multiplications and additions that a step of a GAN needs, counted from its layers."""

from __future__ import annotations

from benchmarks.cases import Case

__all__ = ["step_flops"]


def step_flops(case: Case, sample_shape: tuple[int, ...]) -> int:
    """Of one step of one GAN, by `torch.utils.flop_counter`: products and convolutions alone.

    Only what an ideal implementation needs: fakes are made once, D's update makes no gradient
    for G, and G's none for D's weights. An ordinary loop does the last and throws it away.
    """
    import torch
    from torch.nn.functional import softplus
    from torch.utils.flop_counter import FlopCounterMode

    from gan_core.networks.catalog import build

    G, D = build(case.shared, case.latent_dim, sample_shape, seed=0)
    real = torch.zeros(case.batch_size, *sample_shape)
    with FlopCounterMode(display=False) as counter:
        fake = G(torch.zeros(case.batch_size, case.latent_dim))
        D(torch.cat([real, fake.detach()])).sum().backward()
        D.requires_grad_(False)
        softplus(-D(fake)).sum().backward()
    total: int = counter.get_total_flops()
    return total
