"""One iteration of a cohort: each member's `d_steps` updates of D, then one of G.

The reference that exactness is held to: `d_steps` times draw a batch (with replacement) and z,
and update D on real and fake; then update G on the fakes of the last of these, through the D
that they updated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_core.adam import Rates, adam_step_
from gan_core.cohort import Cohort
from gan_core.config import AdversarialLoss, Penalty
from gan_core.data import Dataset
from gan_core.losses import d_loss, g_loss
from gan_core.noise import Purpose, batch_indices, latents, stream_key, uniforms
from gan_core.penalties import clip_weights_, wgan_gp
from gan_core.schedule import Round
from gan_core.signals import SIGNALS, SignalStatistics
from gan_core.stack import Stack

__all__ = ["step"]


def step(cohort: Cohort, dataset: Dataset, statistics: SignalStatistics) -> None:
    """Trains every living member of the cohort by one step and notes what was seen.

    A member whose loss, logits or gradient turn non-finite keeps the parameters that it had before that
    update, is dead from then on, and leaves the others bitwise as they would be without it.

    Args:
        cohort: changed in place.
        dataset: what to draw real samples from.
        statistics: takes the step's signals in.
    """
    *early, last = cohort.schedule.rounds
    for round_ in early:
        with torch.no_grad():
            fake = cohort.G.forward(cohort.G.leaves(slice(round_.members)), _noise(cohort, round_))
        _update_d(cohort, round_, real=_real(cohort, round_, dataset), fake=fake)

    alive = cohort.values["alive"][: last.members]
    alive_before = alive.clone()
    g_leaves = cohort.G.leaves(slice(last.members), requires_grad=True)
    fake = cohort.G.forward(g_leaves, _noise(cohort, last))
    seen = _update_d(cohort, last, real=_real(cohort, last, dataset), fake=fake.detach())
    g_value, g_norm = _update_g(cohort, last, g_leaves, fake)

    cohort.values["step"][: last.members] += alive
    signals = _signals(cohort, seen, g_value, g_norm)
    statistics.add(signals, sound=alive, nonfinite=alive_before & ~alive)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What D's update saw, for each member."""

    real_logits: Tensor
    """[members, batch]"""
    fake_logits: Tensor
    """[members, batch]"""
    loss: Tensor
    """[members], without the penalty"""
    penalty: Tensor
    """[members], NaN where there is none"""
    norm: Tensor
    """[members], of the gradient of both"""


def _update_d(cohort: Cohort, round_: Round, *, real: Tensor, fake: Tensor) -> _Seen:
    D, values = cohort.D, cohort.values
    leaves = D.leaves(slice(round_.members), requires_grad=True)
    # One pass over both: D has no batch statistics through which they could meet.
    logits = D.forward(leaves, torch.cat((real, fake), dim=1))
    real_logits, fake_logits = logits.tensor_split(2, dim=1)
    smoothing = values["smoothing"][: round_.members, None].to(cohort.dtype)

    def one_loss(kind: AdversarialLoss, part: slice) -> Tensor:
        return d_loss(
            kind, real=real_logits[part], fake=fake_logits[part], smoothing=smoothing[part]
        )

    loss = _by_loss(round_, one_loss)
    penalty = torch.full_like(loss, torch.nan).detach()
    total, extra = loss.sum(), []
    for kind, part in round_.penalties:
        if kind is Penalty.WGAN_GP:
            # Leaves of their own: through slices of the others, every member would pay.
            part_leaves = D.leaves(part, requires_grad=True)
            value = _wgan_gp(cohort, round_, part, part_leaves, real=real, fake=fake)
            penalty[part] = value.detach()
            total = total + value.sum()
            extra.append((part, list(part_leaves.values())))
    wanted = [*leaves.values(), *(leaf for _, part_leaves in extra for leaf in part_leaves)]
    # A penalty on D's gradient does not see every parameter (the last bias).
    gradients = torch.autograd.grad(total, wanted, materialize_grads=True)
    gradient = D.collect(gradients[: len(leaves)])
    for index, (part, _) in enumerate(extra, start=1):
        D.accumulate(part, gradients[index * len(leaves) : (index + 1) * len(leaves)])

    loss = loss.detach()
    values["d_updates"][: round_.members] += 1
    sound = loss.isfinite() & logits.isfinite().all(dim=1)
    norm = _descend(cohort, D, gradient, sound, lr="lr_d", count=values["d_updates"])
    for kind, part in round_.penalties:
        if kind is Penalty.CLIP:
            clip_weights_(D.parameters[part], values["clip"][part, None].to(cohort.dtype))
    return _Seen(real_logits.detach(), fake_logits.detach(), loss, penalty, norm)


def _wgan_gp(
    cohort: Cohort,
    round_: Round,
    part: slice,
    leaves: dict[str, Tensor],
    *,
    real: Tensor,
    fake: Tensor,
) -> Tensor:
    """The weighted penalty of each member of the part."""
    key = _keys(cohort, round_, Purpose.INTERPOLATION)[part]
    value = wgan_gp(
        lambda x: cohort.D.forward(leaves, x),
        real=real[part],
        fake=fake[part],
        mix=uniforms(key, cohort.config.batch_size, 1, cohort.dtype)[..., 0],
    )
    return value.mean(dim=1) * cohort.values["gp_weight"][part].to(cohort.dtype)


def _update_g(
    cohort: Cohort, round_: Round, leaves: dict[str, Tensor], fake: Tensor
) -> tuple[Tensor, Tensor]:
    """Updates G through the D that was just updated; returns loss and gradient norm, [members]."""
    logits = cohort.D.forward(cohort.D.leaves(slice(round_.members)), fake)
    loss = _by_loss(round_, lambda kind, part: g_loss(kind, fake=logits[part]))
    gradient = cohort.G.collect(
        torch.autograd.grad(loss.sum(), list(leaves.values()), materialize_grads=True)
    )
    loss = loss.detach()
    count = cohort.values["step"] + 1
    return loss, _descend(cohort, cohort.G, gradient, loss.isfinite(), lr="lr_g", count=count)


def _by_loss(round_: Round, value: Callable[[AdversarialLoss, slice], Tensor]) -> Tensor:
    """Each member's own loss, averaged over its batch: [members]."""
    return torch.cat([value(kind, part).mean(dim=1) for kind, part in round_.losses])


def _descend(
    cohort: Cohort, stack: Stack, gradient: Tensor, sound: Tensor, *, lr: str, count: Tensor
) -> Tensor:
    """Adam for the members that are alive and finite; the others are dead from now on.

    Returns:
        The gradients' norms, [members].
    """
    members, values = len(sound), cohort.values
    norm = torch.linalg.vector_norm(gradient, dim=1)
    alive = values["alive"][:members]
    alive &= sound & norm.isfinite()
    # Asking is free on a CPU; on a GPU it would make the host wait, so there the pass is made.
    if gradient.is_cuda or not alive.all():
        gradient.masked_fill_(~alive[:, None], 0)
    adam_step_(
        stack.parameters[:members],
        gradient,
        stack.moment1[:members],
        stack.moment2[:members],
        rates=Rates(
            lr=(values[lr][:members] * alive)[:, None],
            beta1=values["beta1"][:members, None],
            beta2=values["beta2"][:members, None],
        ),
        count=count[:members, None],
    )
    return norm


def _signals(cohort: Cohort, seen: _Seen, g_value: Tensor, g_norm: Tensor) -> Tensor:
    """[members, signals], in the order of `SIGNALS`."""
    members = len(g_value)
    threshold = cohort.values["threshold"][:members, None]
    has_none = threshold[:, 0].isnan()
    no_labels = ~cohort.values["labels"][:members]
    real, fake = seen.real_logits, seen.fake_logits
    by_name = {
        "d_loss": seen.loss,
        "g_loss": g_value,
        "penalty": seen.penalty,
        "real_logit": real.mean(dim=1),
        "fake_logit": fake.mean(dim=1),
        "real_prob": real.sigmoid().mean(dim=1).masked_fill(no_labels, torch.nan),
        "fake_prob": fake.sigmoid().mean(dim=1).masked_fill(no_labels, torch.nan),
        "real_accuracy": (real > threshold).double().mean(dim=1).masked_fill(has_none, torch.nan),
        "fake_accuracy": (fake < threshold).double().mean(dim=1).masked_fill(has_none, torch.nan),
        "grad_norm_d": seen.norm,
        "grad_norm_g": g_norm,
    }
    return torch.stack([by_name[name].double() for name in SIGNALS], dim=1)


def _keys(cohort: Cohort, round_: Round, purpose: Purpose) -> Tensor:
    """The members' streams in this round: (seed, purpose, step, D updates made in the step)."""
    values = {name: value[: round_.members] for name, value in cohort.values.items()}
    to_come = len(cohort.schedule.rounds) - round_.index
    return stream_key(values["seed"], purpose, values["step"], values["d_steps"] - to_come)


def _noise(cohort: Cohort, round_: Round) -> Tensor:
    return latents(
        _keys(cohort, round_, Purpose.LATENT),
        cohort.config.batch_size,
        cohort.config.latent_dim,
        noise=cohort.config.noise,
        lengths=cohort.values["latent_dim"][: round_.members],
        dtype=cohort.dtype,
    )


def _real(cohort: Cohort, round_: Round, dataset: Dataset) -> Tensor:
    key = _keys(cohort, round_, Purpose.BATCH)
    indices = batch_indices(key, cohort.config.batch_size, len(dataset.images))
    return dataset.batch(indices, cohort.dtype)
