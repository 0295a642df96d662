"""One iteration of a cohort: each member's `d_steps` updates of D, then one of G.

The reference that exactness is held to: `d_steps` times draw a batch (with replacement) and z,
and update D on real and fake; then update G on the fakes of the last of these, through the D
that they updated. Real and fake go through D in one pass, unless D has batch statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_core.adam import Rates, descend_
from gan_core.cohort import Cohort
from gan_core.config import AdversarialLoss, Penalty
from gan_core.critic import Critic
from gan_core.data import Dataset
from gan_core.draws import Draws
from gan_core.losses import d_loss, g_loss, needs_real
from gan_core.noise import Purpose
from gan_core.penalties import clip_weights_, dragan, r1, r1r2, wgan_gp
from gan_core.schedule import Round
from gan_core.signals import SIGNALS, SignalStatistics
from gan_core.stack import Stack

__all__ = ["Observed", "advance", "step"]


@dataclass(frozen=True, eq=False)
class Observed:
    """What a step shows of each member."""

    signals: Tensor
    """[members, signals], in the order of `SIGNALS`."""
    sound: Tensor
    """bool [members], whether the step was made."""
    nonfinite: Tensor
    """bool [members], whether the member turned non-finite at it."""


def step(cohort: Cohort, dataset: Dataset, statistics: SignalStatistics) -> None:
    """Trains every living member of the cohort by one step and notes what was seen, see `advance`.

    Args:
        cohort: changed in place.
        dataset: what to draw real samples from.
        statistics: takes the step's signals in.
    """
    observed = advance(cohort, dataset)
    statistics.add(observed.signals, sound=observed.sound, nonfinite=observed.nonfinite)


def advance(cohort: Cohort, dataset: Dataset) -> Observed:
    """Trains every living member of the cohort by one step.

    On a CUDA device the host reads nothing: all that it decides by is the cohort's schedule.

    A member whose loss, logits or gradient turn non-finite keeps the parameters that it had
    before that update, is dead from then on, and leaves the others bitwise as they would be
    without it.

    Args:
        cohort: changed in place.
        dataset: what to draw real samples from.
    """
    members = len(cohort.members)
    alive = cohort.values["alive"][:members]
    alive_before = alive.clone()
    buffers = [(now, now.clone()) for s in (cohort.G, cohort.D) for now in s.all_buffers().values()]
    for round_ in cohort.schedule.rounds:
        draws = Draws(cohort, round_, dataset)
        is_last = round_.members == members and round_ is cohort.schedule.rounds[-1]
        g_leaves = cohort.g_leaves(slice(round_.members), requires_grad=is_last)
        with torch.set_grad_enabled(is_last):
            fake = cohort.run_g(g_leaves, slice(round_.members), draws.g_inputs())
        seen = _update_d(cohort, round_, draws, fake=fake.detach())
    g_value, g_norm = _update_g(cohort, draws, list(g_leaves.values()), fake)

    cohort.values["step"][:members] += alive
    # What the dead's layers saw of their last, non-finite step is not kept either.
    if buffers and (alive.device.type != "cpu" or not alive.all()):
        for now, before in buffers:
            dead = ~alive.view(-1, *[1] * (now.dim() - 1))
            now[:members] = torch.where(dead, before[:members], now[:members])
    signals = _signals(cohort, seen, g_value, g_norm)
    return Observed(signals, sound=alive, nonfinite=alive_before & ~alive)


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


def _update_d(cohort: Cohort, round_: Round, draws: Draws, *, fake: Tensor) -> _Seen:
    members, D = round_.members, cohort.D
    critic = Critic(D, round_.norms, draws.labels)
    real = draws.noisy(draws.real, Purpose.REAL_NOISE)
    fake = draws.noisy(fake, Purpose.FAKE_NOISE)
    real_logits, fake_logits = critic.judge_both(real=real, fake=fake)
    smoothing = cohort.values["smoothing"][:members, None].to(cohort.dtype)

    def one(kind: AdversarialLoss, part: slice) -> Tensor:
        logits = {"real": _cut(real_logits, part), "fake": _cut(fake_logits, part)}
        return d_loss(kind, **logits, smoothing=smoothing[part]).mean(dim=1)

    loss = torch.cat([one(kind, part) for kind, part in round_.losses])
    penalties = [
        (part, *_penalty(cohort, draws, kind, part, real=real, fake=fake))
        for kind, part in round_.penalties
        if kind.is_per_sample
    ]
    total = loss.sum() + sum(value.sum() for _, value, _ in penalties)
    critics = [critic, *(own for _, _, own in penalties)]
    wanted = [leaf for each in critics for leaf in each.leaves]
    # A penalty on D's gradient does not see every parameter (the last bias).
    gradients = iter(torch.autograd.grad(total, wanted, materialize_grads=True))
    critic.collect(gradients)
    for own in critics[1:]:
        own.accumulate(gradients)

    loss = loss.detach()
    noted = torch.full_like(loss, torch.nan)
    for part, value, _ in penalties:
        noted[part] = value.detach()
    seen = (loss[:, None], real_logits.detach(), fake_logits.detach())
    cohort.values["d_updates"][:members] += 1
    norm = _descend(cohort, D, seen, lr="lr_d", count=cohort.values["d_updates"])
    for kind, part in round_.penalties:
        if kind is Penalty.CLIP:
            # Initial weights are not clipped, and who dies at the first step keeps them.
            bound = cohort.values["clip"].where(cohort.values["alive"], torch.inf)
            clip_weights_(D.parameters[part], bound[part, None].to(cohort.dtype))
    return _Seen(real_logits.detach(), fake_logits.detach(), loss, noted, norm)


def _cut(logits: Tensor, part: slice) -> Tensor:
    """The logits of a part; of all, they are themselves: cutting costs a backward pass as well."""
    return logits if part == slice(0, len(logits)) else logits[part]


def _penalty(
    cohort: Cohort, draws: Draws, kind: Penalty, part: slice, *, real: Tensor, fake: Tensor
) -> tuple[Tensor, Critic]:
    """The weighted penalty of each member of the part, and the D that it was taken of.

    A D with leaves of its own: through slices of the others', every member would pay.
    """
    ((norm, _),) = draws.round.norms_of(part)
    critic = Critic(cohort.D, ((norm, part),), draws.labels, twice=True)
    real, fake = real[part], fake[part]
    match kind:
        case Penalty.WGAN_GP:
            value = wgan_gp(critic, real=real, fake=fake, mix=draws.mix(part))
        case Penalty.DRAGAN:
            around = draws.perturbation(part)
            value = dragan(critic, real=real, perturbation=around, mix=draws.mix(part))
        case Penalty.R1:
            value = r1(critic, real=real)
        case Penalty.R1R2:
            value = r1r2(critic, real=real, fake=fake)
        case Penalty.CLIP:
            raise ValueError("clipping is no penalty on gradients")
    weight = cohort.values["penalty_weight"][part].to(cohort.dtype)
    return value.mean(dim=1) * weight, critic


def _update_g(
    cohort: Cohort, draws: Draws, leaves: list[Tensor], fake: Tensor
) -> tuple[Tensor, Tensor]:
    """Updates G through the D that was just updated; returns loss and gradient norm, [members]."""
    round_, members = draws.round, len(cohort.members)
    critic = Critic(cohort.D, round_.norms, draws.labels, requires_grad=False)
    logits = critic(draws.noisy(fake, Purpose.FAKE_NOISE_OF_G))

    def one(kind: AdversarialLoss, part: slice) -> Tensor:
        real = _real_logits(cohort, draws, part) if needs_real(kind) else None
        return g_loss(kind, fake=_cut(logits, part), real=real).mean(dim=1)

    loss = torch.cat([one(kind, part) for kind, part in round_.losses])
    cohort.collect_g(torch.autograd.grad(loss.sum(), leaves, materialize_grads=True))
    loss = loss.detach()
    seen = (loss[:, None], logits.detach())
    norm = _descend(cohort, cohort.G, seen, lr="lr_g", count=cohort.values["step"] + 1)
    for part in round_.averaged:
        # In float64 until the end: 1 less a decay near 1 has few digits left in float32.
        newest = 1 - cohort.values["average_decay"][part, None]
        newest = (newest * cohort.values["alive"][:members][part, None]).to(cohort.dtype)
        cohort.G.average[part].lerp_(cohort.G.parameters[part], newest)
    return loss, norm


@torch.no_grad()
def _real_logits(cohort: Cohort, draws: Draws, part: slice) -> Tensor:
    """Of the updated D on the real batch, for the members whose G compares with them."""
    critic = Critic(cohort.D, draws.round.norms_of(part), draws.labels, requires_grad=False)
    return critic(draws.noisy(draws.real, Purpose.REAL_NOISE)[part])


def _descend(
    cohort: Cohort, stack: Stack, seen: Sequence[Tensor], *, lr: str, count: Tensor
) -> Tensor:
    """Adam for the members that are alive and finite; the others are dead from now on.

    Args:
        cohort: whose.
        stack: the player, with its gradient.
        seen: [members, numbers] each, which have to be finite.
        lr: name of the rate.
        count: updates made including this one, by slot.

    Returns:
        The gradients' norms, [members].
    """
    members, values = len(seen[0]), cohort.values
    alive, rate = values["alive"][:members], values[lr][:members]
    alive &= torch.cat(list(seen), dim=1).isfinite().all(dim=1)
    if cohort.config.schedule_steps is not None:
        rate = rate * _schedule(cohort, members)
    return descend_(
        stack.parameters[:members],
        stack.gradient[:members],
        stack.moment1[:members],
        stack.moment2[:members],
        rates=Rates(
            lr=rate[:, None],
            beta1=values["beta1"][:members, None],
            beta2=values["beta2"][:members, None],
        ),
        count=count[:members, None],
        alive=alive,
    )


def _schedule(cohort: Cohort, members: int) -> Tensor:
    """What the rates are multiplied with at this step, float64 [members]."""
    values = {name: cohort.values[name][:members] for name in ("step", "linear", "cosine")}
    assert cohort.config.schedule_steps is not None
    done = (values["step"].double() / cohort.config.schedule_steps).clamp(max=1)
    cosine = torch.where(values["cosine"], (1 + torch.cos(torch.pi * done)) / 2, 1.0)
    return torch.where(values["linear"], 1 - done, cosine)


def _signals(cohort: Cohort, seen: _Seen, g_value: Tensor, g_norm: Tensor) -> Tensor:
    """[members, signals], in the order of `SIGNALS`."""
    members = len(g_value)
    threshold = cohort.values["threshold"][:members, None]
    no_labels = ~cohort.values["labels"][:members, None]
    real, fake = seen.real_logits, seen.fake_logits
    both = torch.stack((real, fake), dim=1)
    right = torch.stack((real > threshold, fake < threshold), dim=1)
    logit = both.mean(dim=2)
    prob = both.sigmoid_().mean(dim=2).masked_fill_(no_labels, torch.nan)
    accuracy = right.double().mean(dim=2).masked_fill_(threshold.isnan(), torch.nan)
    by_name = {
        "d_loss": seen.loss,
        "g_loss": g_value,
        "penalty": seen.penalty,
        "real_logit": logit[:, 0],
        "fake_logit": logit[:, 1],
        "real_prob": prob[:, 0],
        "fake_prob": prob[:, 1],
        "real_accuracy": accuracy[:, 0],
        "fake_accuracy": accuracy[:, 1],
        "grad_norm_d": seen.norm,
        "grad_norm_g": g_norm,
    }
    return torch.stack([by_name[name] for name in SIGNALS], dim=1)
