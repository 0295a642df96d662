"""K GANs stacked along a leading axis: who stands in which slot, and with what.

The members share no parameters, so the gradient of the sum of their losses is each one's own:
trained together they are what each would be alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gan_core.config import CohortConfig, ConfigError, GanConfig, Precision
from gan_core.losses import real_threshold
from gan_core.networks.catalog import build
from gan_core.noise import Purpose, latents, stream_key, uniforms
from gan_core.schedule import Schedule, order_key, schedule
from gan_core.stack import Stack

__all__ = ["Cohort", "Member"]

_VALUES = {
    **dict.fromkeys(("seed", "latent_dim", "d_steps", "step", "d_updates"), torch.int64),
    **dict.fromkeys(("lr_g", "lr_d", "beta1", "beta2", "smoothing", "clip"), torch.float64),
    **dict.fromkeys(("gp_weight", "threshold"), torch.float64),
    **dict.fromkeys(("labels", "alive"), torch.bool),
}
_DTYPES = {Precision.FLOAT32: torch.float32, Precision.FLOAT64: torch.float64}


@dataclass(frozen=True, eq=False)
class Member:
    """One GAN in a cohort; the handle by which its owner names it, whatever its slot."""

    config: GanConfig
    g_shapes: dict[str, torch.Size] = field(repr=False)
    """Of G's own, un-padded parameters."""
    d_shapes: dict[str, torch.Size] = field(repr=False)


class Cohort:
    """Up to `slots` GANs that are trained in lockstep.

    Occupied slots are the first `len(members)`, in an order that `gan_core.schedule` explains;
    admitting and evicting may move members to other slots, which changes nothing in their numbers:
    bitwise if batch_size is a multiple of 32 and torch runs one thread (every slot is then aligned
    and vectorised alike), to rounding otherwise.

    Attributes:
        config: what the members share.
        sample_shape: (channels, height, width).
        G: the generators' parameters.
        D: the discriminators' parameters.
        values: each member's own numbers by name, [slots] each, on the device.
        members: who stands in the slots, in order.
        schedule: the rounds of a step.
    """

    def __init__(
        self, config: CohortConfig, sample_shape: Sequence[int], *, slots: int, device: str = "cpu"
    ) -> None:
        self.config = config
        self.sample_shape = tuple(sample_shape)
        self.slots = slots
        self.dtype = _DTYPES[config.precision]
        self.device = torch.device(device)
        generator, discriminator = build(config, config.latent_dim, self.sample_shape, seed=0)
        self.G = Stack(generator, slots, dtype=self.dtype, device=device)
        self.D = Stack(discriminator, slots, dtype=self.dtype, device=device)
        self.values = {
            name: torch.zeros(slots, dtype=kind, device=device) for name, kind in _VALUES.items()
        }
        self.members: tuple[Member, ...] = ()
        self.schedule: Schedule = schedule(())
        self._padding_probed = False

    def admit(self, configs: Sequence[GanConfig]) -> list[Member]:
        """Puts fresh GANs into free slots.

        Args:
            configs: one for each.

        Returns:
            Their handles, in the same order.

        Raises:
            ValueError: more than there are free slots.
            ConfigError: a latent dimension above the cohort's, or one below it with a generator
                that is not linear in z at first, so that padding would change it.
        """
        if len(configs) > self.slots - len(self.members):
            free = self.slots - len(self.members)
            raise ValueError(f"{len(configs)} members for {free} free of {self.slots} slots")
        fresh = [self._place(config, len(self.members) + i) for i, config in enumerate(configs)]
        self._arrange([*self.members, *fresh], range(len(self.members) + len(fresh)))
        return fresh

    def evict(self, members: Sequence[Member]) -> None:
        """Frees the slots of these members.

        Raises:
            ValueError: one of them has no slot here.
        """
        leaving = {self.slot(member) for member in members}
        staying = [slot for slot in range(len(self.members)) if slot not in leaving]
        self._arrange([self.members[slot] for slot in staying], staying)

    def slot(self, member: Member) -> int:
        """Where the member stands now.

        Raises:
            ValueError: nowhere in this cohort.
        """
        for slot, standing in enumerate(self.members):
            if standing is member:
                return slot
        raise ValueError(f"not in this cohort: {member}")

    def export(self, member: Member) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The state dicts of the member's plain (G, D), un-padded, on the CPU."""
        slot = self.slot(member)
        return self.G.export(slot, member.g_shapes), self.D.export(slot, member.d_shapes)

    @torch.no_grad()
    def generate(self, members: Sequence[Member], count: int) -> Tensor:
        """Samples from each member's fixed evaluation noise: the same z at every call.

        Args:
            members: whose.
            count: samples of each.

        Returns:
            [len(members), count, *sample_shape], in [-1, 1].
        """
        if not members:
            return torch.empty(0, count, *self.sample_shape, dtype=self.dtype, device=self.device)
        slots = torch.tensor([self.slot(m) for m in members], device=self.device)
        zero = torch.zeros_like(slots)
        key = stream_key(self.values["seed"][slots], Purpose.EVALUATION, zero, zero)
        z = latents(
            key,
            count,
            self.config.latent_dim,
            noise=self.config.noise,
            lengths=self.values["latent_dim"][slots],
            dtype=self.dtype,
        )
        return self.G.forward(self.G.tensors(self.G.parameters[slots]), z)

    def _place(self, config: GanConfig, slot: int) -> Member:
        if config.latent_dim > self.config.latent_dim:
            right = f"must be at most the cohort's {self.config.latent_dim}"
            raise ConfigError("latent_dim", config.latent_dim, right)
        players = build(self.config, config.latent_dim, self.sample_shape, config.seed)
        for stack, module in zip((self.G, self.D), players, strict=True):
            stack.admit(slot, dict(module.named_parameters()))
        for name, value in _own_values(config).items():
            self.values[name][slot] = value
        if config.latent_dim < self.config.latent_dim and not self._padding_probed:
            self._probe_padding(config, slot, players[0])
            self._padding_probed = True
        shapes = [{name: p.shape for name, p in module.named_parameters()} for module in players]
        return Member(config, shapes[0], shapes[1])

    def _arrange(self, members: list[Member], slots: Sequence[int]) -> None:
        """Makes the members, who stand in these slots, the cohort, sorted by signature."""
        order = sorted(range(len(members)), key=lambda i: order_key(members[i].config))
        moves = [slots[i] for i in order]
        if moves != list(range(len(moves))):
            self.G.rearrange(moves)
            self.D.rearrange(moves)
            index = torch.tensor(moves, dtype=torch.int64, device=self.device)
            for value in self.values.values():
                value[: len(moves)] = value[index]
        self.members = tuple(members[i] for i in order)
        self.schedule = schedule([m.config for m in self.members])

    def _probe_padding(self, config: GanConfig, slot: int, generator: nn.Module) -> None:
        """Refuses a generator that, padded, is not the plain one or would not stay it."""
        z = uniforms(torch.tensor([config.seed]), 4, config.latent_dim, self.dtype)
        plain = generator.to(self.dtype)(z[0])
        tail = self.config.latent_dim - config.latent_dim
        leaves = self.G.leaves(slice(slot, slot + 1), requires_grad=True)
        padded = self.G.forward(leaves, torch.nn.functional.pad(z, (0, tail)).to(self.device))[0]
        gradients = torch.autograd.grad(padded.sum(), list(leaves.values()), materialize_grads=True)
        # A gradient outside of the plain shape would fill the padding as soon as it is trained.
        leaks = any(
            gradient.count_nonzero() != gradient[0][_corner(own.shape)].count_nonzero()
            for gradient, own in zip(gradients, generator.parameters(), strict=True)
        )
        if leaks or not torch.allclose(padded.cpu(), plain, rtol=1e-4, atol=1e-5):
            right = "is not linear in z at first, so latent dimensions cannot be mixed: fix one"
            raise ConfigError("model.architecture", self.config.architecture, right)


def _corner(shape: Sequence[int]) -> tuple[slice, ...]:
    """Where a plain tensor stands in its padded one."""
    return tuple(slice(size) for size in shape)


def _own_values(config: GanConfig) -> dict[str, float]:
    """What a fresh member brings; NaN and 0 stand for what its loss does not have."""
    threshold = real_threshold(config.loss.adversarial)
    return {
        **{name: getattr(config, name) for name in ("seed", "latent_dim", "d_steps")},
        **{name: getattr(config, name) for name in ("lr_g", "lr_d", "beta1", "beta2")},
        "step": 0,
        "d_updates": 0,
        "smoothing": config.label_smoothing or 0.0,
        "clip": math.nan if config.clip_value is None else config.clip_value,
        "gp_weight": math.nan if config.gp_weight is None else config.gp_weight,
        "threshold": math.nan if threshold is None else threshold,
        "labels": config.loss.adversarial.has_labels,
        "alive": True,
    }
