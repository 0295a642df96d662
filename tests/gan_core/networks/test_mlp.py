import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from gan_core.config import Activation, Normalisation
from gan_core.networks.mlp import TUTORIAL_WIDTHS, MlpDiscriminator, MlpGenerator
from gan_core.networks.norms import BatchNorm

SHAPES = [(1, 8, 8), (3, 2, 5), (1, 28, 28)]
WIDTHS = [(), (6,), (5, 9), (4, 3, 2)]


def by_hand(module, x, depth):
    """The textbook formula, from the state dict."""
    parameters = list(module.parameters())
    for layer in range(depth + 1):
        x = x @ parameters[2 * layer].T + parameters[2 * layer + 1]
        if layer < depth:
            x = torch.where(x > 0, x, 0.2 * x)
    return x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("widths", WIDTHS)
def test_the_generator_is_affine_maps_with_leaky_relu_between_and_tanh_at_the_end(widths, shape):
    G = MlpGenerator(7, widths, shape).double()
    z = torch.randn(11, 7, dtype=torch.float64)
    expected = by_hand(G, z, len(widths)).tanh().view(11, *shape)
    torch.testing.assert_close(G(z), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("widths", WIDTHS)
def test_the_discriminator_is_affine_maps_with_leaky_relu_between_and_a_logit(widths, shape):
    D = MlpDiscriminator(widths, shape).double()
    x = torch.rand(11, *shape, dtype=torch.float64) * 2 - 1
    expected = by_hand(D, x.flatten(1), len(widths))[:, 0]
    torch.testing.assert_close(D(x), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("widths", WIDTHS)
def test_parameters_are_those_of_the_affine_maps(widths):
    def count(sizes):
        return sum(a * b + b for a, b in pairwise(sizes))

    G, D = MlpGenerator(7, widths, (1, 8, 8)), MlpDiscriminator(widths, (1, 8, 8))
    assert sum(p.numel() for p in G.parameters()) == count([7, *widths, 64])
    assert sum(p.numel() for p in D.parameters()) == count([64, *widths, 1])
    assert not list(G.buffers())
    assert not list(D.buffers())


def test_samples_stay_in_range_for_any_z():
    G = MlpGenerator(4, (8,), (1, 3, 3))
    images = G(torch.randn(100, 4) * 1e4)
    assert images.abs().max() <= 1
    assert G(torch.full((1, 4), math.nan)).isnan().all()


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_small_batches_keep_their_axis(batch):
    images = MlpGenerator(4, (8,), (1, 3, 3))(torch.randn(batch, 4))
    assert images.shape == (batch, 1, 3, 3)
    assert MlpDiscriminator((8,), (1, 3, 3))(images).shape == (batch,)


def test_samples_of_a_batch_do_not_meet():
    D = MlpDiscriminator((8, 8), (1, 3, 3))
    x = torch.rand(5, 1, 3, 3)
    spoilt = x.clone()
    spoilt[2] = math.nan
    logits = D(spoilt)
    assert logits.isnan().tolist() == [False, False, True, False, False]


def test_points_are_not_bounded():
    G = MlpGenerator(4, (8,), (2,))
    points = G(torch.randn(100, 4) * 1e4)
    assert points.shape == (100, 2)
    assert points.abs().max() > 1
    assert MlpDiscriminator((8,), (2,))(points).shape == (100,)


def test_relu_takes_leaky_relus_place():
    G = MlpGenerator(4, (8, 7), (2,), activation=Activation.RELU)
    D = MlpDiscriminator((8, 7), (2,), activation=Activation.RELU)
    for module in (G, D):
        kinds = [type(m) for m in module.modules()]
        assert kinds.count(nn.ReLU) == 2
        assert nn.LeakyReLU not in kinds


def test_the_tutorials_generator_is_normalised_but_for_its_first_layer_and_with_the_usual_eps():
    G = MlpGenerator(100, TUTORIAL_WIDTHS, (1, 28, 28), batch_norm=True)
    kinds = [type(m) for m in G.layers]
    assert kinds == [
        *(nn.Linear, nn.LeakyReLU),
        *(nn.Linear, BatchNorm, nn.LeakyReLU) * 3,
        *(nn.Linear, nn.Tanh, nn.Unflatten),
    ]
    norms = [m for m in G.layers if isinstance(m, BatchNorm)]
    assert [len(m.weight) for m in norms] == [256, 512, 1024]
    assert {(m.momentum, m.eps) for m in norms} == {(0.2, 1e-5)}


@pytest.mark.parametrize("norm", [Normalisation.BATCH, Normalisation.LAYER])
def test_ds_hidden_layers_are_normalised_before_their_activation(norm):
    D = MlpDiscriminator((8, 7), (1, 3, 3), norm=norm)
    kind = BatchNorm if norm is Normalisation.BATCH else nn.LayerNorm
    hidden = (nn.Linear, kind, nn.LeakyReLU)
    assert [type(m) for m in D.layers] == [nn.Flatten, *hidden, *hidden]
    h = D.layers[:3](torch.rand(20, 1, 3, 3))
    axis = 0 if norm is Normalisation.BATCH else 1
    torch.testing.assert_close(h.mean(dim=axis), torch.zeros(h.shape[1 - axis]), rtol=0, atol=1e-5)
