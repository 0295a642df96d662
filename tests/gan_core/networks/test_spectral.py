import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_core.networks.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear

KINDS = {
    "linear": (
        lambda: SpectralLinear(5, 7),
        lambda: nn.Linear(5, 7),
        lambda: torch.randn(3, 5, dtype=torch.float64),
    ),
    "convolution": (
        lambda: SpectralConv2d(2, 3, 4, stride=2, padding=1),
        lambda: nn.Conv2d(2, 3, 4, stride=2, padding=1),
        lambda: torch.randn(3, 2, 6, 6, dtype=torch.float64),
    ),
    "embedding": (
        lambda: SpectralEmbedding(6, 3),
        lambda: nn.Embedding(6, 3),
        lambda: torch.tensor([0, 5, 5]),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def sigma(layer):
    return torch.linalg.svdvals(layer.weight.flatten(1))[0]


def pair(kind):
    """Ours and torch's with the same weight, u and v."""
    ours, plain, _ = KINDS[kind]
    own, theirs = ours().double(), spectral_norm(plain().double())
    theirs.parametrizations.weight.original.data.copy_(own.weight)
    if kind != "embedding":
        theirs.bias.data.copy_(own.bias)
    theirs.parametrizations.weight[0]._u.copy_(own.u)
    theirs.parametrizations.weight[0]._v.copy_(own.v)
    return own, theirs


@every_kind
def test_it_is_torchs_spectral_norm_step_for_step_while_the_weight_is_trained(kind):
    own, theirs = pair(kind)
    raw = theirs.parametrizations.weight.original
    for step in range(6):
        # Also eval mode, between steps of training.
        own.train(step % 3 != 2)
        theirs.train(step % 3 != 2)
        x = KINDS[kind][2]()
        ours, others = own(x), theirs(x)
        torch.testing.assert_close(ours, others, rtol=1e-12, atol=1e-12)
        (slope,) = torch.autograd.grad(ours.square().sum(), own.weight)
        (other,) = torch.autograd.grad(others.square().sum(), raw)
        torch.testing.assert_close(slope, other, rtol=1e-12, atol=1e-12)
        estimate = theirs.parametrizations.weight[0]
        torch.testing.assert_close(own.u, estimate._u, rtol=0, atol=1e-13)
        torch.testing.assert_close(own.v, estimate._v, rtol=0, atol=1e-13)
        own.weight.data -= 0.1 * slope
        raw.data -= 0.1 * other


@every_kind
def test_the_estimate_approaches_the_largest_singular_value_from_below(kind):
    layer = KINDS[kind][0]().double()
    x = KINDS[kind][2]()
    errors = []
    for _ in range(200):
        layer(x)
        norm = torch.linalg.svdvals(layer.normalised().detach().flatten(1))[0]
        errors.append(norm.item() - 1)
    # weight / sigma has norm >= 1 as long as sigma is an underestimate.
    assert min(errors) > -1e-12
    assert errors[0] < 0.1
    assert errors[-1] == pytest.approx(0, abs=1e-9)


@every_kind
def test_eval_mode_does_not_iterate(kind):
    layer = KINDS[kind][0]().double().eval()
    before = copy.deepcopy(layer.state_dict())
    layer(KINDS[kind][2]())
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


@every_kind
def test_the_scale_of_the_weight_does_not_matter(kind):
    layer = KINDS[kind][0]().double().eval()
    first = layer.normalised()
    layer.weight.data *= 1e6
    torch.testing.assert_close(layer.normalised(), first, rtol=1e-12, atol=0)


def test_align_follows_a_weight_drawn_anew():
    layer = SpectralLinear(20, 20).double()
    nn.init.normal_(layer.weight, 0, 5)
    stale = torch.dot(layer.u, layer.weight @ layer.v).abs()
    layer.align()
    fresh = torch.dot(layer.u, layer.weight @ layer.v)
    assert stale < 0.7 * sigma(layer)
    assert 0.9 * sigma(layer) < fresh <= sigma(layer)


def test_two_forward_passes_may_precede_one_backward_pass():
    layer = SpectralLinear(5, 7).double()
    (layer(torch.ones(1, 5).double()) - layer(torch.zeros(1, 5).double())).sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_a_weight_of_zeros_gives_nan_as_torchs_does():
    layer = SpectralLinear(5, 7)
    nn.init.zeros_(layer.weight)
    assert layer(torch.ones(1, 5)).isnan().all()


@every_kind
def test_members_have_vectors_of_their_own_even_beside_a_nan(kind, stack):
    layers = [KINDS[kind][0]().double() for _ in range(3)]
    layers[1].weight.data.fill_(torch.nan)
    fused = stack(layers)
    x = torch.stack([KINDS[kind][2]() for _ in range(3)])
    for _ in range(2):
        y, alone = fused(x), fused.alone(x)
        assert y[1].isnan().all()
        for k in (0, 2):
            torch.testing.assert_close(y[k], alone[k], rtol=1e-12, atol=1e-12)
            assert torch.isfinite(fused.buffers["u"][k]).all()
