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

from gan_core.config import CohortConfig, ConfigError, GanConfig, LrSchedule, Precision
from gan_core.fusion import check_runs, check_separate, runs_fused
from gan_core.losses import real_threshold
from gan_core.networks.catalog import build
from gan_core.noise import Purpose, latents, normals, stream_key, stream_roots, uniforms
from gan_core.schedule import Schedule, order_key, schedule
from gan_core.stack import Stack, corner

__all__ = ["Cohort", "Member"]

_VALUES = {
    **dict.fromkeys(("seed", "latent_dim", "d_steps", "step", "d_updates"), torch.int64),
    **dict.fromkeys(("lr_g", "lr_d", "beta1", "beta2", "smoothing", "clip"), torch.float64),
    **dict.fromkeys(("penalty_weight", "threshold"), torch.float64),
    **dict.fromkeys(("instance_noise", "average_decay"), torch.float64),
    **dict.fromkeys(("labels", "linear", "cosine", "alive"), torch.bool),
}
_DTYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.FLOAT64: torch.float64,
    Precision.BFLOAT16: torch.float32,
}


_G = ""  # all generators of a cohort are of one kind


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
    bitwise if batch_size is a multiple of 32, hidden widths of 8 and torch runs one thread (every
    slot is then aligned and vectorised alike), to rounding otherwise.

    Args:
        config: what the members share.
        sample_shape: (channels, height, width), or (dimensions,) of points.
        slots: members at most.
        device: where all of it lives.
        classes: of the dataset, for conditional networks.

    Attributes:
        G: the generators' parameters.
        D: the discriminators' parameters; a kind for each normalisation.
        noise_numel: random numbers that G wants for each sample beside z.
        values: each member's own numbers by name, [slots] each, on the device.
        roots: of the members' random streams, int64 [purposes, slots], see `stream_roots`.
        members: who stands in the slots, in order.
        schedule: the rounds of a step.
    """

    def __init__(
        self,
        config: CohortConfig,
        sample_shape: Sequence[int],
        *,
        slots: int,
        device: str = "cpu",
        classes: int = 0,
    ) -> None:
        if config.conditional and classes < 1:
            right = "needs a dataset with labels"
            raise ConfigError("conditional", config.conditional, right)
        self.config = config
        self.sample_shape = tuple(sample_shape)
        self.slots = slots
        self.classes = classes if config.conditional else 0
        self.dtype = _DTYPES[config.precision]
        self.device = torch.device(device)
        generator, discriminator = self._build(GanConfig(), config.latent_dim)
        fused = self._can_fuse(generator, discriminator)
        factors = torch.bfloat16 if config.precision is Precision.BFLOAT16 else None
        self.G, self.D = (
            Stack(slots, dtype=self.dtype, device=device, fused=fused, factors=factors)
            for _ in range(2)
        )
        self.G.add_kind(_G, generator)
        self.noise_numel = int(getattr(generator, "noise_numel", 0))
        self.values = {
            name: torch.zeros(slots, dtype=kind, device=device) for name, kind in _VALUES.items()
        }
        self.roots = stream_roots(self.values["seed"])
        self.members: tuple[Member, ...] = ()
        self.schedule: Schedule = schedule(())
        # In bfloat16 there is only our own mlp, which may be padded, and rounding would hide it.
        self._padding_probed = factors is not None

    def admit(self, configs: Sequence[GanConfig]) -> list[Member]:
        """Puts fresh GANs into free slots.

        Args:
            configs: one for each.

        Returns:
            Their handles, in the same order.

        Raises:
            ValueError: more than there are free slots.
            ConfigError: a latent dimension above the cohort's, or one below it with a generator
                that is not linear in z at first, so that padding would change it; a schedule of
                the rates without `CohortConfig.schedule_steps`; what the architecture refuses.
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

    def export(
        self, member: Member, *, average: bool = False
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The state dicts of the member's plain (G, D), un-padded, on the CPU.

        Args:
            member: whose.
            average: whether G's weights are the moving average, for a member that keeps one.
        """
        slot, kind = self.slot(member), member.config.d_norm.value
        average = average and member.config.ema_half_life_images is not None
        return (
            self.G.export(_G, slot, member.g_shapes, average=average),
            self.D.export(kind, slot, member.d_shapes),
        )

    def run_g(
        self,
        tensors: dict[str, Tensor],
        rows: slice | Tensor,
        inputs: Sequence[Tensor],
        *,
        training: bool = True,
    ) -> Tensor:
        """G of these rows with these parameters on (z, labels, noise), as far as it wants them."""
        buffers = self.G.buffers(_G, rows)
        # G runs once between two updates of it: its gradients may lie where they are wanted.
        places = self.G.places(_G, rows) if isinstance(rows, slice) else None
        return self.G.forward(_G, tensors, buffers, *inputs, training=training, places=places)

    def g_leaves(self, rows: slice, *, requires_grad: bool = False) -> dict[str, Tensor]:
        """The parameters of G of these rows, see `Stack.leaves`."""
        return self.G.leaves(_G, rows, requires_grad=requires_grad)

    def collect_g(self, gradients: Sequence[Tensor]) -> None:
        """Lays the gradients of all members' G out flat, see `Stack.collect`."""
        self.G.collect(_G, slice(len(self.members)), gradients)

    @torch.no_grad()
    def generate(self, members: Sequence[Member], count: int) -> Tensor:
        """Samples from each member's fixed evaluation noise: the same z at every call.

        From the moving average of G's weights where the member keeps one. Of a conditional G
        they go round the classes: sample i is of class i modulo their number.

        Args:
            members: whose.
            count: samples of each.

        Returns:
            [len(members), count, *sample_shape]; images in [-1, 1].
        """
        if not members:
            return torch.empty(0, count, *self.sample_shape, dtype=self.dtype, device=self.device)
        slots = torch.tensor([self.slot(m) for m in members], device=self.device)
        zero = torch.zeros_like(slots)
        seed = self.values["seed"][slots]
        inputs = [
            latents(
                stream_key(seed, Purpose.EVALUATION, zero, zero),
                count,
                self.config.latent_dim,
                noise=self.config.noise,
                lengths=self.values["latent_dim"][slots],
                dtype=self.dtype,
            )
        ]
        labels = self.evaluation_labels(count)
        if labels is not None:
            inputs.append(labels.expand(len(members), count))
        if self.noise_numel:
            key = stream_key(seed, Purpose.EVALUATION, zero, zero + 1)
            inputs.append(normals(key, count, self.noise_numel, self.dtype))
        averaged = torch.tensor([m.config.ema_half_life_images is not None for m in members])
        own = self.G.parameters[slots]
        flat = torch.where(averaged.to(self.device)[:, None], self.G.average[slots], own)
        return self.run_g(self.G.tensors(_G, flat), slots, inputs, training=False)

    def evaluation_labels(self, count: int) -> Tensor | None:
        """The classes that `generate` asks a conditional G for: int64 [count]; None of others."""
        if not self.classes:
            return None
        return torch.arange(count, device=self.device) % self.classes

    def _can_fuse(self, generator: nn.Module, discriminator: nn.Module) -> bool:
        """Whether the networks run for all members at once; a user's own are tried."""
        fused = self.device.type == "cuda" or not _has_convolutions(generator, discriminator)
        name = self.config.architecture
        if ":" not in name:
            return fused
        G, D = self._build(GanConfig(), self.config.latent_dim)
        check_separate(name, (generator, discriminator), (G, D))
        noise, batch = int(getattr(G, "noise_numel", 0)), 2
        z = [torch.zeros(batch, self.config.latent_dim)]
        z += [torch.zeros(batch, noise)] if noise else []
        x = [torch.zeros(batch, *self.sample_shape)]
        check_runs(name, G, z, x[0].shape)
        check_runs(name, D, x, (batch,))
        return runs_fused(name, G, z) & runs_fused(name, D, x) & fused

    def _build(self, config: GanConfig, latent_dim: int) -> tuple[nn.Module, nn.Module]:
        return build(
            self.config,
            latent_dim=latent_dim,
            sample_shape=self.sample_shape,
            seed=config.seed,
            d_norm=config.d_norm,
            classes=self.classes,
        )

    def _place(self, config: GanConfig, slot: int) -> Member:
        if config.latent_dim > self.config.latent_dim:
            right = f"must be at most the cohort's {self.config.latent_dim}"
            raise ConfigError("latent_dim", config.latent_dim, right)
        if config.lr_schedule is not LrSchedule.CONSTANT and self.config.schedule_steps is None:
            right = "needs CohortConfig.schedule_steps"
            raise ConfigError("lr_schedule", config.lr_schedule.value, right)
        generator, discriminator = self._build(config, config.latent_dim)
        kind = config.d_norm.value
        if kind not in self.D.kinds:
            self.D.add_kind(kind, self._build(config, self.config.latent_dim)[1])
        self.G.admit(_G, slot, generator)
        self.D.admit(kind, slot, discriminator)
        for name, value in _own_values(config, self.config.batch_size).items():
            self.values[name][slot] = value
        if config.latent_dim < self.config.latent_dim and not self._padding_probed:
            self._probe_padding(config, slot, generator)
            self._padding_probed = True
        return Member(config, _shapes(generator), _shapes(discriminator))

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
        self.roots.copy_(stream_roots(self.values["seed"]))
        self.members = tuple(members[i] for i in order)
        self.schedule = schedule([m.config for m in self.members])

    def _probe_padding(self, config: GanConfig, slot: int, generator: nn.Module) -> None:
        """Refuses a generator that, padded, is not the plain one or would not stay it."""
        count, row = 4, slice(slot, slot + 1)
        z = uniforms(torch.tensor([config.seed]), count, config.latent_dim, self.dtype)
        rest = []
        if self.classes:
            rest.append(torch.arange(count)[None] % self.classes)
        if self.noise_numel:
            rest.append(torch.zeros(1, count, self.noise_numel, dtype=self.dtype))
        plain = generator.to(self.dtype).eval()(*(x[0] for x in (z, *rest)))
        tail = self.config.latent_dim - config.latent_dim
        inputs = [x.to(self.device) for x in (torch.nn.functional.pad(z, (0, tail)), *rest)]
        leaves = self.g_leaves(row, requires_grad=True)
        padded = self.run_g(leaves, row, inputs, training=False)[0]
        gradients = torch.autograd.grad(padded.sum(), list(leaves.values()), materialize_grads=True)
        # A gradient outside of the plain shape would fill the padding as soon as it is trained.
        leaks = any(
            gradient.count_nonzero() != gradient[0][corner(own.shape)].count_nonzero()
            for gradient, own in zip(gradients, generator.parameters(), strict=True)
        )
        if leaks or not torch.allclose(padded.cpu(), plain, rtol=1e-4, atol=1e-5):
            right = "is not linear in z at first, so latent dimensions cannot be mixed: fix one"
            raise ConfigError("model.architecture", self.config.architecture, right)


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in module.named_parameters()}


def _has_convolutions(*modules: nn.Module) -> bool:
    """Whether to run members one by one on a CPU.

    Measured on one core of an AVX-512 CPU with eight dcgans of 16 channels on MNIST, batch 64: 60
    member-steps/s one by one, 42 under vmap, which makes grouped convolutions of them.
    """
    return any(
        isinstance(part, nn.modules.conv._ConvNd) for module in modules for part in module.modules()
    )


def _own_values(config: GanConfig, batch_size: int) -> dict[str, float]:
    """What a fresh member brings; NaN and 0 stand for what its recipe does not have."""
    threshold = real_threshold(config.loss.adversarial)
    weights = (config.gp_weight, config.dragan_weight, config.r1_gamma)
    half_life = config.ema_half_life_images
    return {
        **{name: getattr(config, name) for name in ("seed", "latent_dim", "d_steps")},
        **{name: getattr(config, name) for name in ("lr_g", "lr_d", "beta1", "beta2")},
        "step": 0,
        "d_updates": 0,
        "smoothing": config.label_smoothing or 0.0,
        "clip": math.nan if config.clip_value is None else config.clip_value,
        "penalty_weight": next((weight for weight in weights if weight is not None), math.nan),
        "instance_noise": config.instance_noise,
        "average_decay": math.nan if half_life is None else 0.5 ** (batch_size / half_life),
        "threshold": math.nan if threshold is None else threshold,
        "labels": config.loss.adversarial.has_labels,
        "linear": config.lr_schedule is LrSchedule.LINEAR,
        "cosine": config.lr_schedule is LrSchedule.COSINE,
        "alive": True,
    }
