import copy

import pytest
import torch
from torch import nn

from gan_core.config import Normalisation
from gan_core.networks.norms import BatchNorm, convolution, embedding, linear, normaliser
from gan_core.networks.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear

FEATURES = 4
SIZES = [(6, FEATURES), (3, FEATURES, 2, 5)]
PLAIN = {Normalisation.NONE, Normalisation.BATCH, Normalisation.LAYER}


def torchs(size, **settings):
    """torch's own batch normalisation, with parameters off their special values."""
    kind = nn.BatchNorm1d if len(size) == 2 else nn.BatchNorm2d
    module = kind(FEATURES, **settings).double()
    for parameter in module.parameters():
        parameter.data += torch.randn_like(parameter)
    return module


def ours_like(module):
    own = BatchNorm(FEATURES, momentum=module.momentum, eps=module.eps).double()
    own.load_state_dict({name: module.state_dict()[name] for name in own.state_dict()})
    return own


def values(module, x):
    """Output, first gradients, and gradients of a gradient."""
    x = x.clone().requires_grad_()
    y = module(x)
    wanted = [x, *module.parameters()]
    first = torch.autograd.grad(y.square().sum(), wanted, create_graph=True)
    second = torch.autograd.grad(first[0].square().sum(), wanted, materialize_grads=True)
    return [y, *first, *second]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.2}, {"eps": 0.1}])
@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation_is_torchs(size, settings, training):
    theirs = torchs(size, **settings)
    own = ours_like(theirs)
    for _ in range(3):
        x = torch.randn(size, dtype=torch.float64) * 3 + 1
        theirs.train(training)
        own.train(training)
        for a, b in zip(values(own, x), values(theirs, x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
        for name in ("running_mean", "running_var"):
            assert torch.equal(getattr(own, name), getattr(theirs, name))


def test_its_state_is_torchs_and_back():
    own, theirs = BatchNorm(FEATURES), nn.BatchNorm2d(FEATURES)
    own(torch.randn(3, FEATURES, 2, 2))
    theirs.load_state_dict(own.state_dict())
    assert torch.equal(theirs.running_var, own.running_var)
    assert set(theirs.state_dict()) - set(own.state_dict()) == {"num_batches_tracked"}


@pytest.mark.parametrize("size", SIZES)
def test_running_statistics_reach_a_stacks_own_tensors(size, stack):
    fused = stack([ours_like(torchs(size)) for _ in range(3)])
    for _ in range(2):
        x = torch.randn(3, *size, dtype=torch.float64)
        torch.testing.assert_close(fused(x), torch.stack(fused.alone(x)), rtol=0, atol=1e-12)
        fused.assert_buffers_alike()
    fused.train(False)
    before = copy.deepcopy(fused.buffers)
    torch.testing.assert_close(fused(x), torch.stack(fused.alone(x)), rtol=0, atol=1e-12)
    assert all(torch.equal(t, before[name]) for name, t in fused.buffers.items())


def test_a_neighbours_nan_stays_with_it(stack):
    fused = stack([BatchNorm(FEATURES) for _ in range(3)])
    x = torch.randn(3, 6, FEATURES)
    x[1] = torch.nan
    y = fused(x)
    for t in (y, *fused.buffers.values()):
        assert t.flatten(1).isnan().all(dim=1).tolist() == [False, True, False]
        assert t[[0, 2]].isfinite().all()


@pytest.mark.parametrize("norm", list(Normalisation))
def test_the_kind_says_what_follows_a_layer_and_what_the_layer_is(norm):
    follow = {Normalisation.BATCH: [BatchNorm], Normalisation.LAYER: [nn.LayerNorm]}
    assert [type(m) for m in normaliser(4, norm)] == follow.get(norm, [])
    spectral = norm is Normalisation.SPECTRAL
    assert type(linear(3, 2, norm)) is (SpectralLinear if spectral else nn.Linear)
    assert type(convolution(3, 2, 3, norm)) is (SpectralConv2d if spectral else nn.Conv2d)
    assert type(embedding(3, 2, norm)) is (SpectralEmbedding if spectral else nn.Embedding)


def test_layer_normalisation_of_images_is_over_channels_height_and_width():
    (layer,) = normaliser(FEATURES, Normalisation.LAYER, image=True)
    x = torch.randn(3, FEATURES, 5, 2, dtype=torch.float64) * 7 + 2
    y = layer.double()(x)
    expected = nn.functional.layer_norm(x, x.shape[1:])
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    assert [p.shape for p in layer.parameters()] == [(FEATURES,)] * 2


@pytest.mark.parametrize("norm", list(Normalisation))
@pytest.mark.parametrize(("kernel", "stride", "side"), [(1, 1, 8), (3, 1, 8), (4, 2, 4)])
def test_convolutions_keep_or_halve_the_side(norm, kernel, stride, side):
    layer = convolution(2, 3, kernel, norm, stride=stride)
    assert layer(torch.randn(5, 2, 8, 8)).shape == (5, 3, side, side)
    assert convolution(2, 3, kernel, norm, bias=False).bias is None
