import dataclasses
import textwrap

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig
from gan_core.draws import Draws
from gan_core.noise import Purpose, batch_indices, latents, normals, stream_key, uniforms

BATCH, LATENT = 32, 6
CONFIG = CohortConfig(
    generator_widths=(5,),
    discriminator_widths=(5,),
    latent_dim=LATENT,
    batch_size=BATCH,
    precision="float64",
)
MEMBERS = [
    GanConfig(seed=10, latent_dim=6, d_steps=3),
    GanConfig(seed=11, latent_dim=2, d_steps=1, instance_noise=0.5),
    GanConfig(seed=12, latent_dim=4, d_steps=2),
    GanConfig(seed=13, latent_dim=6, d_steps=2, instance_noise=2.0),
    GanConfig(seed=14, latent_dim=1, d_steps=1),
]


def cohort_of(dataset, configs=MEMBERS, **values):
    cohort = Cohort(
        dataclasses.replace(CONFIG, **values),
        dataset.sample_shape,
        slots=len(configs),
        classes=len(dataset.classes),
    )
    cohort.admit(configs)
    return cohort


def all_draws(cohort, dataset):
    return [Draws(cohort, round_, dataset) for round_ in cohort.schedule.rounds]


def key_of(member, purpose, step, substep):
    numbers = (torch.tensor([n]) for n in (member.config.seed, step, substep))
    seed, step, substep = numbers
    return stream_key(seed, purpose, step, substep)


def substeps(cohort, draws):
    """(slot, member, D updates that it has made in this step) of the draws' round."""
    to_come = len(cohort.schedule.rounds) - draws.round.index
    for slot, member in enumerate(cohort.members[: draws.round.members]):
        yield slot, member, member.config.d_steps - to_come


@pytest.fixture
def cohort(digits):
    made = cohort_of(digits)
    # As if they had been admitted at different times.
    made.values["step"].copy_(torch.tensor([4, 0, 7, 7, 2]))
    return made


def test_each_member_draws_from_its_own_streams_at_its_own_step_and_substep(cohort, digits):
    seen = []
    for draws in all_draws(cohort, digits):
        (z,) = draws.g_inputs()
        assert draws.labels is None
        for slot, member, substep in substeps(cohort, draws):
            step = int(cohort.values["step"][slot])
            seen.append((member.config.seed, substep))
            rows = batch_indices(key_of(member, Purpose.BATCH, step, substep), BATCH, 1797)
            assert torch.equal(draws.real[slot], digits.batch(rows, torch.float64)[0])
            dim = member.config.latent_dim
            own = latents(
                key_of(member, Purpose.LATENT, step, substep),
                BATCH,
                LATENT,
                noise=CONFIG.noise,
                lengths=torch.tensor([dim]),
                dtype=torch.float64,
            )[0]
            assert torch.equal(z[slot], own)
            assert not z[slot, :, dim:].any()
    assert sorted(seen) == [(c.seed, k) for c in MEMBERS for k in range(c.d_steps)]


def test_a_members_draws_are_those_it_would_make_alone(digits):
    together = cohort_of(digits)
    for config in MEMBERS:
        alone = cohort_of(digits, [config])
        own = all_draws(alone, digits)
        for draws in all_draws(together, digits):
            for slot, member, substep in substeps(together, draws):
                if member.config is config:
                    part = slice(slot, slot + 1)
                    lone = own[substep]
                    assert torch.equal(draws.real[part], lone.real)
                    assert torch.equal(draws.g_inputs()[0][part], lone.g_inputs()[0])
                    assert torch.equal(draws.mix(part), lone.mix(slice(0, 1)))
                    assert torch.equal(draws.perturbation(part), lone.perturbation(slice(0, 1)))


def test_instance_noise_is_normal_of_the_members_own_std_and_only_theirs(cohort, digits):
    for draws in all_draws(cohort, digits):
        samples = draws.real
        purposes = (Purpose.REAL_NOISE, Purpose.FAKE_NOISE, Purpose.FAKE_NOISE_OF_G)
        for purpose in purposes:
            noisy = draws.noisy(samples, purpose)
            for slot, member, substep in substeps(cohort, draws):
                std = member.config.instance_noise
                if std == 0:
                    assert torch.equal(noisy[slot], samples[slot])
                    continue
                key = key_of(member, purpose, int(cohort.values["step"][slot]), substep)
                noise = normals(key, BATCH, 64, torch.float64)[0]
                expected = samples[slot] + std * noise.view_as(samples[slot])
                assert torch.equal(noisy[slot], expected)


def test_without_noise_the_samples_themselves_come_back(digits):
    cohort = cohort_of(digits, [GanConfig(latent_dim=2)])
    (draws,) = all_draws(cohort, digits)
    assert draws.noisy(draws.real, Purpose.REAL_NOISE) is draws.real


def test_gradients_pass_the_noise_unchanged(cohort, digits):
    draws = all_draws(cohort, digits)[-1]
    samples = draws.real.clone().requires_grad_()
    noisy = draws.noisy(samples, Purpose.FAKE_NOISE_OF_G)
    (gradient,) = torch.autograd.grad((noisy * draws.real).sum(), samples)
    assert torch.equal(gradient, draws.real)


def test_mix_and_perturbation_are_uniform_and_of_the_parts_shape(cohort, digits):
    draws = all_draws(cohort, digits)[-1]
    part = slice(1, 4)
    mix, around = draws.mix(part), draws.perturbation(part)
    assert mix.shape == (3, BATCH)
    assert around.shape == (3, BATCH, *digits.sample_shape)
    for drawn in (mix, around):
        assert drawn.min() >= 0
        assert drawn.max() < 1
        # Four standard errors of the mean of the fewest, 96, uniforms are 0.12.
        assert drawn.mean() == pytest.approx(0.5, abs=0.12)
    key = key_of(cohort.members[2], Purpose.INTERPOLATION, 7, 1)
    assert torch.equal(mix[1], uniforms(key, BATCH, 1, torch.float64)[0, :, 0])


def test_labels_are_the_classes_of_the_real_samples_and_go_to_g_as_well(digits):
    cohort = cohort_of(digits, conditional=True)
    for draws in all_draws(cohort, digits):
        z, labels = draws.g_inputs()
        assert labels is draws.labels
        assert labels.shape == z.shape[:2]
        for slot, member, substep in substeps(cohort, draws):
            rows = batch_indices(key_of(member, Purpose.BATCH, 0, substep), BATCH, 1797)[0]
            assert torch.equal(labels[slot], digits.labels[rows])


NOISY_PLAYERS = """
    from torch import nn

    class G(nn.Module):
        noise_numel = 3

        def __init__(self, latent_dim):
            super().__init__()
            self.last = nn.Linear(latent_dim + 3, 64)

        def forward(self, z, noise):
            import torch
            return self.last(torch.cat((z, noise), dim=1)).tanh().unflatten(1, (1, 8, 8))

    class D(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(64, 1)

        def forward(self, x):
            return self.last(x.flatten(1))[:, 0]

    def make(latent_dim, shape):
        return G(latent_dim), D()
"""


def test_a_network_that_wants_noise_gets_its_own_stream_of_it(digits, tmp_path, monkeypatch):
    (tmp_path / "noisy_players.py").write_text(textwrap.dedent(NOISY_PLAYERS))
    monkeypatch.syspath_prepend(str(tmp_path))
    configs = [GanConfig(seed=s, latent_dim=LATENT, d_steps=s) for s in (1, 2)]
    cohort = cohort_of(digits, configs, architecture="noisy_players:make")
    for draws in all_draws(cohort, digits):
        _, noise = draws.g_inputs()
        for slot, member, substep in substeps(cohort, draws):
            key = key_of(member, Purpose.NETWORK, 0, substep)
            assert torch.equal(noise[slot], normals(key, BATCH, 3, torch.float64)[0])
