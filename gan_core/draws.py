"""What the members of a round draw: real samples, z, noise; each from its own streams."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from gan_core.cohort import Cohort
from gan_core.data import Dataset
from gan_core.noise import Purpose, batch_indices, latents, normals, stream_keys, uniforms
from gan_core.schedule import Round

__all__ = ["Draws"]


class Draws:
    """The draws of one round, keyed by (seed, purpose, step, D updates made in the step).

    Args:
        cohort: whose members.
        round_: which of them, and which round.
        dataset: what real samples are drawn from, with replacement.
    """

    def __init__(self, cohort: Cohort, round_: Round, dataset: Dataset) -> None:
        self.round = round_
        self._cohort, self._dataset = cohort, dataset
        self._rows = cohort.config.batch_size

    @cached_property
    def _indices(self) -> Tensor:
        return batch_indices(self._key(Purpose.BATCH), self._rows, len(self._dataset))

    @cached_property
    def real(self) -> Tensor:
        """[members, batch, *sample_shape]."""
        return self._dataset.batch(self._indices, self._cohort.dtype)

    @cached_property
    def labels(self) -> Tensor | None:
        """Classes of the real samples, which the fakes are made of too: int64 [members, batch].

        None unless the networks are conditional.
        """
        if not self._cohort.classes or self._dataset.labels is None:
            return None
        return self._dataset.labels[self._indices]

    def g_inputs(self) -> list[Tensor]:
        """What G is called with: z, labels, noise, as far as it wants them."""
        cohort, members = self._cohort, self.round.members
        z = latents(
            self._key(Purpose.LATENT),
            self._rows,
            cohort.config.latent_dim,
            noise=cohort.config.noise,
            lengths=cohort.values["latent_dim"][:members],
            dtype=cohort.dtype,
        )
        inputs = [z] if self.labels is None else [z, self.labels]
        if cohort.noise_numel:
            key = self._key(Purpose.NETWORK)
            inputs.append(normals(key, self._rows, cohort.noise_numel, cohort.dtype))
        return inputs

    def noisy(self, samples: Tensor, purpose: Purpose) -> Tensor:
        """The samples with the members' instance noise, for those that have any."""
        if not self.round.noisy:
            return samples
        parts, begin = [], 0
        for part in self.round.noisy:
            own = samples[part]
            noise = normals(
                self._key(purpose)[part], self._rows, math.prod(own.shape[2:]), own.dtype
            )
            std = self._cohort.values["instance_noise"][part].to(own.dtype)
            std = std.view(-1, *[1] * (own.dim() - 1))
            parts += [samples[begin : part.start], own + std * noise.view_as(own)]
            begin = part.stop
        return torch.cat([*parts, samples[begin:]])

    def mix(self, part: slice) -> Tensor:
        """Uniform in [0, 1): [members of the part, batch]."""
        key = self._key(Purpose.INTERPOLATION)[part]
        return uniforms(key, self._rows, 1, self._cohort.dtype)[..., 0]

    def perturbation(self, part: slice) -> Tensor:
        """Uniform in [0, 1), a number for each value of the part's real samples."""
        real, key = self.real[part], self._key(Purpose.PERTURBATION)[part]
        return uniforms(key, self._rows, math.prod(real.shape[2:]), real.dtype).view_as(real)

    def _key(self, purpose: Purpose) -> Tensor:
        return self._keys[purpose]

    @cached_property
    def _keys(self) -> Tensor:
        """Of all purposes at once: they are small tensors, and each operation has its price."""
        members, values = self.round.members, self._cohort.values
        to_come = len(self._cohort.schedule.rounds) - self.round.index
        substep = values["d_steps"][:members] - to_come
        return stream_keys(self._cohort.roots[:, :members], values["step"][:members], substep)
