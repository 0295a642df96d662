import dataclasses
import math

import pytest
import torch
from torch import nn

from analysis.schema import SPECTRAL_NORMS
from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig, Normalisation
from gan_core.singular import largest_layer, spectral_norms, top_singular_values

IMAGE = (1, 8, 8)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def exactly(matrix):
    return torch.linalg.svdvals(matrix.double().flatten(1))[0].item()


SHAPES = [(1, 1), (1, 7), (5, 1), (12, 9), (9, 12), (128, 128), (64, 300), (300, 64)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_greatest_singular_value(shape, dtype):
    matrices = random(3, *shape).to(dtype)
    values = top_singular_values(matrices)
    assert values.dtype == torch.float64
    expected = torch.tensor([exactly(matrix) for matrix in matrices])
    # Few steps are exact where the matrix is small; the others' random values stand close.
    tolerance = 1e-5 if min(shape) <= 20 else 1e-2
    torch.testing.assert_close(values, expected.double(), rtol=tolerance, atol=0)
    assert (values <= expected * (1 + 1e-5)).all()


def test_one_direction_that_stands_out_is_found_exactly():
    u, v = random(400), random(300, seed=1)
    outer = 3 * torch.outer(u / u.norm(), v / v.norm()) + 0.01 * random(400, 300)
    assert top_singular_values(outer[None]).item() == pytest.approx(exactly(outer), rel=1e-6)


def test_it_scales_with_the_matrix_also_where_squares_overflow():
    matrix = random(1, 40, 30).double()
    (one,) = top_singular_values(matrix.float()).tolist()
    for scale in (1e-30, 1e30):
        (value,) = top_singular_values((matrix * scale).float()).tolist()
        assert value == pytest.approx(one * scale, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rank", [0, 1, 2, 5])
def test_a_matrix_of_less_than_full_rank_has_no_more_than_its_own(rank, dtype):
    matrix = (random(90, rank) @ random(rank, 70, seed=1)).to(dtype)
    values = top_singular_values(torch.stack((matrix, torch.ones_like(matrix))))
    assert values[0].item() == pytest.approx(exactly(matrix), rel=1e-5)
    assert values[1].item() == pytest.approx(math.sqrt(90 * 70), rel=1e-6)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_matrix_that_is_not_finite_gives_nan_and_leaves_its_neighbours_bitwise(value):
    matrices = random(4, 50, 60)
    broken = matrices.clone()
    broken[2, 7, 8] = value
    before, after = top_singular_values(matrices), top_singular_values(broken)
    assert after.isnan().tolist() == [False, False, True, False]
    assert torch.equal(before[[0, 1, 3]], after[[0, 1, 3]])


def test_the_largest_layer_has_the_most_weights_and_is_the_first_of_equals():
    shapes = {"0.weight": (16, 4), "0.bias": (99,), "2.weight": (8, 8), "4.weight": (2, 8, 2, 2)}
    shapes = {name: torch.Size(shape) for name, shape in shapes.items()}
    assert largest_layer(shapes) == "0.weight"
    assert largest_layer({"bias": torch.Size([5])}) is None
    assert largest_layer({}) is None


def cohort_of(*configs, architecture="mlp", **values):
    config = CohortConfig(architecture=architecture, latent_dim=32, **values)
    cohort = Cohort(config, IMAGE, slots=len(configs), classes=10)
    return cohort, cohort.admit(configs)


WIDTHS = {"generator_widths": (24, 16), "discriminator_widths": (16, 24)}


@pytest.mark.parametrize(
    ("architecture", "values"), [("mlp", WIDTHS), ("mlp_bn", WIDTHS), ("dcgan", {"channels": 4})]
)
def test_norms_are_those_of_the_exported_networks(architecture, values):
    configs = [GanConfig(seed=seed, latent_dim=dim) for seed, dim in ((0, 8), (1, 32), (2, 32))]
    cohort, members = cohort_of(*configs, architecture=architecture, **values)
    norms = spectral_norms(cohort, members)
    assert tuple(norms) == SPECTRAL_NORMS
    for k, member in enumerate(members):
        for column, network in zip(norms.values(), cohort.export(member), strict=True):
            weights = [w for n, w in network.items() if w.dim() > 1 and "running" not in n]
            largest = max(weights, key=torch.Tensor.numel)
            assert column[k] == pytest.approx(exactly(largest), rel=1e-3)


def test_padding_changes_neither_the_layer_nor_its_norm():
    small = GanConfig(seed=3, latent_dim=2)
    widths = {"generator_widths": (16, 16), "discriminator_widths": (16, 24)}
    padded, (member,) = cohort_of(small, **widths)
    # Padded to 32 the first layer would be the largest.
    plain = Cohort(dataclasses.replace(padded.config, latent_dim=2), IMAGE, slots=1)
    (alone,) = plain.admit([small])
    a, b = (spectral_norms(c, [m]) for c, m in ((padded, member), (plain, alone)))
    assert a["spectral_norm_g"] == pytest.approx(b["spectral_norm_g"], rel=1e-6)


def test_members_of_other_normalisations_and_layers_stand_in_the_order_asked_for():
    configs = [
        GanConfig(seed=seed, d_norm=norm, latent_dim=dim)
        for seed, (norm, dim) in enumerate(
            [(Normalisation.SPECTRAL, 32), (Normalisation.NONE, 2), (Normalisation.LAYER, 32)]
        )
    ]
    cohort, members = cohort_of(*configs, generator_widths=(16,), discriminator_widths=(8, 16))
    norms = spectral_norms(cohort, members)
    backwards = spectral_norms(cohort, members[::-1])
    for name in norms:
        assert norms[name] == pytest.approx(backwards[name][::-1], rel=1e-6)
        assert len(set(norms[name])) == 3
    assert spectral_norms(cohort, []) == {"spectral_norm_g": [], "spectral_norm_d": []}


def test_a_broken_member_has_nan_and_leaves_its_neighbour():
    cohort, members = cohort_of(GanConfig(seed=0, latent_dim=8), GanConfig(seed=1, latent_dim=8))
    before = spectral_norms(cohort, members)["spectral_norm_d"]
    cohort.D.parameters[cohort.slot(members[0])] = torch.nan
    first, second = spectral_norms(cohort, members)["spectral_norm_d"]
    assert math.isnan(first)
    assert second == before[1]


class Scale(nn.Module):
    """A network without a matrix."""

    def __init__(self, shape):
        super().__init__()
        self.scale, self.shape = nn.Parameter(torch.ones(1)), shape

    def forward(self, x):
        return (
            (self.scale * x.flatten(1).mean(1))
            .view(-1, *[1] * len(self.shape))
            .expand(-1, *self.shape)
        )


def without_matrix(latent_dim, sample_shape):
    """An architecture of a user's own."""
    return Scale(sample_shape), Scale(())


def test_a_network_without_a_matrix_has_none():
    cohort, members = cohort_of(GanConfig(latent_dim=32), architecture=f"{__name__}:without_matrix")
    assert spectral_norms(cohort, members) == {
        "spectral_norm_g": [None],
        "spectral_norm_d": [None],
    }
