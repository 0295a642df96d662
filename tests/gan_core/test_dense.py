import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

import gan_core.dense
from gan_core.config import Activation, Normalisation
from gan_core.dense import dense_layers, run_dense
from gan_core.kernels.library import Instructions, best_instructions
from gan_core.networks.mlp import MlpDiscriminator, MlpGenerator

MEMBERS, BATCH, LATENT = 3, 8, 5


@pytest.fixture(params=["in C", "by torch"])
def way(request, monkeypatch, one_thread):
    """How float32 is calculated."""
    if request.param == "by torch":
        monkeypatch.setattr(gan_core.dense, "is_suited", lambda *_, **__: False)
    elif best_instructions() is Instructions.NONE:
        pytest.skip("torch multiplies here")
    return request.param


def stacked(module, dtype=torch.float64):
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.randn(MEMBERS, *p.shape, generator=generator, dtype=dtype).requires_grad_()
        for name, p in module.named_parameters()
    }


def samples(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(8)
    return torch.randn(MEMBERS, BATCH, *shape, generator=generator, dtype=dtype).requires_grad_()


def vmapped(module, tensors, x):
    return vmap(lambda own, batch: functional_call(module, own, (batch,)))(tensors, x)


PLAYERS = {
    "images": lambda a: (MlpGenerator(LATENT, (9, 4), (2, 3, 3), activation=a), (LATENT,)),
    "points": lambda a: (MlpGenerator(LATENT, (9,), (2,), activation=a), (LATENT,)),
    "no hidden": lambda a: (MlpGenerator(LATENT, (), (2, 2, 2), activation=a), (LATENT,)),
    "judge": lambda a: (MlpDiscriminator((7, 4), (1, 3, 3), activation=a), (1, 3, 3)),
    "linear judge": lambda a: (MlpDiscriminator((), (1, 3, 3), activation=a), (1, 3, 3)),
    "judge of points": lambda a: (MlpDiscriminator((6,), (2,), activation=a), (2,)),
}


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("player", list(PLAYERS))
def test_values_and_gradients_are_those_of_the_modules(player, activation):
    module, shape = PLAYERS[player](activation)
    layers = dense_layers(module)
    tensors, x = stacked(module), samples(*shape)
    made, expected = run_dense(layers, tensors, x), vmapped(module, tensors, x)
    assert made.shape == expected.shape
    wanted = [*tensors.values(), x]
    weight = expected.detach().cos()
    gradients = (torch.autograd.grad((y * weight).sum(), wanted) for y in (made, expected))
    for a, b in zip((made, *next(gradients)), (expected, *next(gradients)), strict=True):
        # Rounding of sums of a few dozen products, in float64.
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("player", list(PLAYERS))
def test_float32_differs_by_rounding_alone(way, player, activation):
    module, shape = PLAYERS[player](activation)
    layers = dense_layers(module)
    tensors, x = stacked(module, torch.float32), samples(*shape, dtype=torch.float32)
    wide = {name: t.detach().double().requires_grad_() for name, t in tensors.items()}
    exact = x.detach().double().requires_grad_()
    made, expected = run_dense(layers, tensors, x), vmapped(module, wide, exact)
    assert ("_Compiled" in str(made.grad_fn.next_functions)) is (way == "in C")
    weight = expected.detach().cos()
    gradients = torch.autograd.grad((made * weight.float()).sum(), [*tensors.values(), x])
    theirs = torch.autograd.grad((expected * weight).sum(), [*wide.values(), exact])
    for a, b in zip((made, *gradients), (expected, *theirs), strict=True):
        # Sums of a few dozen products in each of three layers.
        assert (a.double() - b).abs().max() <= 5e-6 * b.abs().max()


def test_only_the_gradients_that_are_wanted_are_taken():
    module = MlpDiscriminator((7, 4), (1, 3, 3))
    layers, tensors, x = dense_layers(module), stacked(module), samples(1, 3, 3)
    fixed = {name: t.detach() for name, t in tensors.items()}
    expected = torch.autograd.grad(vmapped(module, tensors, x).sum(), [x, *tensors.values()])
    (of_x,) = torch.autograd.grad(run_dense(layers, fixed, x).sum(), x)
    torch.testing.assert_close(of_x, expected[0], rtol=1e-11, atol=1e-11)
    made = run_dense(layers, tensors, x.detach())
    gradients = torch.autograd.grad(made.sum(), list(tensors.values()))
    for a, b in zip(gradients, expected[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_comes_in_is_left_as_it_was(way, dtype):
    module = MlpGenerator(LATENT, (9,), (1, 2, 2))
    tensors, x = stacked(module, dtype), samples(LATENT, dtype=dtype)
    made = run_dense(dense_layers(module), tensors, x)
    slope = torch.ones_like(made)
    kept = [t.detach().clone() for t in (x, *tensors.values(), slope, made)]
    torch.autograd.grad(made, list(tensors.values()), slope)
    for now, before in zip((x, *tensors.values(), slope, made), kept, strict=True):
        assert torch.equal(now, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_second_derivative_is_refused_and_not_wrong(way, dtype):
    module = MlpDiscriminator((7,), (1, 3, 3))
    tensors, x = stacked(module, dtype), samples(1, 3, 3, dtype=dtype)
    made = run_dense(dense_layers(module), tensors, x)
    with pytest.raises(RuntimeError, match="twice=True"):
        torch.autograd.grad(made.sum(), x, create_graph=True)


@pytest.mark.parametrize(
    "module",
    [
        MlpGenerator(LATENT, (4,), (1, 2, 2), batch_norm=True),
        MlpGenerator(LATENT, (4, 4), (1, 2, 2), batch_norm=True),
        MlpGenerator(LATENT, (4,), (1, 2, 2), classes=3),
        MlpDiscriminator((4,), (1, 2, 2), classes=3),
        *(MlpDiscriminator((4,), (1, 2, 2), norm=n) for n in list(Normalisation)[1:]),
        nn.Sequential(nn.Linear(2, 2), nn.Dropout()),
    ],
)
def test_networks_with_anything_else_in_them_are_not_taken_for_plain_ones(module):
    has_more = any(type(m).__name__ not in PLAIN for m in module.modules())
    assert (dense_layers(module) is None) is has_more


PLAIN = {"MlpGenerator", "LatentInput", "Sequential", "Linear", "LeakyReLU", "Tanh", "Unflatten"}


def test_products_of_float32_are_not_rounded_further(way):
    # 128 terms near 1: float32 gives 1e-6, factors of bfloat16 would give 1e-2.
    module = MlpDiscriminator((), (1, 8, 16))
    tensors, x = stacked(module, torch.float32), samples(1, 8, 16, dtype=torch.float32)
    wide = {name: t.detach().double() for name, t in tensors.items()}
    made = run_dense(dense_layers(module), tensors, x)
    expected = vmapped(module, wide, x.detach().double())
    assert (made.double() - expected).abs().max() < 1e-4


@pytest.mark.parametrize("factors", [None, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 2, 8, 24, 128])
def test_a_members_numbers_do_not_depend_on_how_many_others_there_are(way, width, factors):
    module, generator = MlpDiscriminator((width, 8), (width,)), torch.Generator().manual_seed(9)
    tensors = {
        n: torch.randn(8, *p.shape, generator=generator) for n, p in module.named_parameters()
    }
    x = torch.randn(8, 32, width, generator=generator)

    def numbers(members):
        own = {n: t[:members].clone().requires_grad_() for n, t in tensors.items()}
        made = run_dense(dense_layers(module), own, x[:members], factors=factors)
        return [made, *torch.autograd.grad(made.square().sum(), list(own.values()))]

    whole = numbers(8)
    for members in (2, 3, 5):
        for a, b in zip(numbers(members), whole, strict=True):
            assert torch.equal(a, b[:members])


@pytest.mark.skipif(not hasattr(torch.backends.mkldnn, "matmul"), reason="before torch 2.9")
def test_torchs_settings_are_as_they_were_afterwards(way):
    settings = torch.backends.mkldnn.matmul
    before = settings.fp32_precision
    module = MlpDiscriminator((7,), (1, 3, 3))
    x = samples(1, 3, 3, dtype=torch.float32)
    run_dense(dense_layers(module), stacked(module, torch.float32), x).sum().backward()
    with pytest.raises(RuntimeError):
        run_dense(dense_layers(module), stacked(module, torch.float32), x[..., :2])
    assert settings.fp32_precision == before


def rounded(module, tensors, x):
    """Values and all gradients, in float32 and with factors of bfloat16."""
    layers, wanted = dense_layers(module), [*tensors.values(), x]
    runs = (run_dense(layers, tensors, x, factors=f) for f in (None, torch.bfloat16))
    return [[made, *torch.autograd.grad(made.cos().sum(), wanted)] for made in runs]


def test_factors_of_bfloat16_cost_digits_and_nothing_else(monkeypatch):
    # What runs in C is held to its own roundings, layer by layer: kernels/test_mlp.py.
    monkeypatch.setattr(gan_core.dense, "is_suited", lambda *_, **__: False)
    module = MlpDiscriminator((32, 32), (1, 8, 8))
    tensors, x = stacked(module, torch.float32), samples(1, 8, 8, dtype=torch.float32)
    tensors = {
        n: t.detach().div(t[0, 0].numel() ** 0.5).requires_grad_() for n, t in tensors.items()
    }
    exact, coarse = rounded(module, tensors, x)
    for a, b in zip(exact, coarse, strict=True):
        assert b.dtype == torch.float32
        # bfloat16 has 8 bits: 0.4% for each of three layers, forth and back.
        assert 0 < (a - b).norm() < 0.02 * a.norm()


def test_factors_of_bfloat16_cost_a_layer_digits_and_nothing_else(way):
    # No ReLU: one that rounding moves across its zero changes the whole gradient behind it.
    module = MlpGenerator(32, (), (1, 6, 6))
    tensors, x = stacked(module, torch.float32), samples(32, dtype=torch.float32)
    tensors = {
        n: t.detach().div(t[0, 0].numel() ** 0.5).requires_grad_() for n, t in tensors.items()
    }
    exact, coarse = rounded(module, tensors, x)
    for a, b in zip(exact, coarse, strict=True):
        assert b.dtype == torch.float32
        # bfloat16 has 8 bits: 0.4% for each of two factors, forth and back.
        assert 0 < (a - b).norm() < 0.02 * a.norm()


def test_narrow_layers_are_not_rounded(way):
    # Eight inputs, or outputs: of points, and of logits.
    module = MlpDiscriminator((8,), (24,))
    tensors, x = stacked(module, torch.float32), samples(24, dtype=torch.float32)
    for a, b in zip(*rounded(module, tensors, x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("factors", [None, torch.bfloat16])
def test_gradients_are_written_where_they_are_wanted(way, factors):
    module = MlpGenerator(LATENT, (24, 32), (1, 3, 3))
    layers, tensors = dense_layers(module), stacked(module, torch.float32)
    x, wanted = samples(LATENT, dtype=torch.float32), list(tensors.values())
    # As in a row of all parameters: a member's are not next to another's.
    places = {n: torch.full((MEMBERS, t[0].numel() + 3), 7.0) for n, t in tensors.items()}
    views = {n: p[:, :-3].view(tensors[n].shape) for n, p in places.items()}
    made = run_dense(layers, tensors, x, places=views, factors=factors)
    gradients = torch.autograd.grad(made.sum(), wanted)
    expected = torch.autograd.grad(run_dense(layers, tensors, x, factors=factors).sum(), wanted)
    for gradient, fresh, view in zip(gradients, expected, views.values(), strict=True):
        assert gradient.is_set_to(view)
        torch.testing.assert_close(gradient, fresh)  # aligned otherwise, rounded otherwise
    assert all((place[:, -3:] == 7).all() for place in places.values())


def test_that_it_could_be_faster_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(gan_core.dense, "why_absent", lambda: "for a reason")
    monkeypatch.setattr(gan_core.dense, "is_suited", lambda *_, **__: False)
    gan_core.dense._say_that_torch_does_it.cache_clear()
    module = MlpDiscriminator((7,), (1, 3, 3))
    tensors, x = stacked(module, torch.float32), samples(1, 3, 3, dtype=torch.float32)
    for _ in range(2):
        run_dense(dense_layers(module), tensors, x)
    (record,) = caplog.records
    assert record.getMessage().endswith("than they could: for a reason")
    gan_core.dense._say_that_torch_does_it.cache_clear()
