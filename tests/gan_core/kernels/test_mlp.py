import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from gan_core.kernels.library import Instructions, best_instructions
from gan_core.kernels.mlp import Network, is_suited

AVAILABLE = [each for each in Instructions if 0 < each <= best_instructions()]
MEMBERS = 3
# (sizes of the layers, batch): whole vectors and panels, parts of them, single numbers
SHAPES = {
    "digits": ((64, 128, 128, 64), 64),
    "judge of both halves": ((64, 128, 128, 1), 128),
    "points": ((2, 128, 1), 64),
    "to points": ((16, 128, 2), 64),
    "no multiple of anything": ((5, 33, 70, 3), 7),
    "one of each": ((1, 1), 1),
    "one sample": ((17, 16, 9), 1),
    "images": ((100, 40, 784), 6),
    "panels and a rest": ((15, 65, 129), 13),
}

pytestmark = pytest.mark.usefixtures("one_thread")

ROUNDING = [each for each in AVAILABLE if each >= Instructions.AVX512_BF16]
with_each = pytest.mark.parametrize("instructions", AVAILABLE, ids=lambda each: each.name)
with_rounding = pytest.mark.parametrize("instructions", ROUNDING, ids=lambda each: each.name)
rounding_or_not = pytest.mark.parametrize(
    ("instructions", "rounds"),
    [(each, False) for each in AVAILABLE] + [(each, True) for each in ROUNDING],
    ids=lambda each: getattr(each, "name", each),
)


def drawn(shape, seed, scale=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def parameters_of(sizes, members=MEMBERS):
    """Weights and biases, a member's neither next to another's nor on whole vectors."""
    made = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights = drawn((members, outputs * inputs + 3), 2 * i, inputs**-0.5)
        made.append(weights[:, 1:-2].view(members, outputs, inputs))
        made.append(drawn((members, outputs + 5), 2 * i + 1)[:, 2:-3])
    return made


def network(sizes, batch, instructions, *, slope=0.2, tanh=False, members=MEMBERS, x=None):
    slopes = [*[slope] * (len(sizes) - 2), None]
    x = drawn((members, batch, sizes[0]), 99) if x is None else x
    return Network(parameters_of(sizes, members), slopes, tanh, x, instructions)


def by_autograd(net, slope_of_end):
    """What torch makes of it in float64: outputs, and gradients by x and the parameters."""
    x, *own = (each.double().requires_grad_() for each in (net.x, *net.parameters))
    h = x
    for weight, bias, slope in zip(own[::2], own[1::2], net.slopes, strict=True):
        h = torch.baddbmm(bias[:, None], h, weight.mT)
        if slope is not None:
            h = nn.functional.leaky_relu(h, slope) if slope else h.relu()
    gradients = torch.autograd.grad(h, [x, *own], slope_of_end.double())
    return (h.tanh() if net.tanh else h), gradients


def run(net, slope_of_end):
    made = net.forward()
    places = [torch.full_like(each, torch.nan) for each in net.parameters]
    of_x = torch.full_like(net.x, torch.nan)
    net.backward(made, slope_of_end, places, of_x=of_x)
    return made[-1], [of_x, *places]


def assert_near(made, expected):
    # Sums of up to 784 products in float32: 1e-6 of the greatest for each of three layers.
    assert (made.double() - expected).abs().max() <= 5e-6 * expected.abs().max()


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("shape", list(SHAPES))
@with_each
def test_outputs_and_gradients_are_those_of_autograd(instructions, shape, slope, tanh):
    sizes, batch = SHAPES[shape]
    net = network(sizes, batch, instructions, slope=slope, tanh=tanh)
    end = drawn((MEMBERS, batch, sizes[-1]), 7)
    made, gradients = run(net, end)
    expected, wanted = by_autograd(net, end)
    for ours, theirs in zip((made, *gradients), (expected, *wanted), strict=True):
        assert_near(ours, theirs)


@with_each
def test_only_what_is_wanted_is_written_and_nothing_beside_it(instructions):
    sizes, batch = SHAPES["no multiple of anything"]
    net = network(sizes, batch, instructions)
    end = drawn((MEMBERS, batch, sizes[-1]), 7)
    _, everything = run(net, end)
    made = net.forward()
    rows = [torch.full((MEMBERS, p[0].numel() + 8), 7.0) for p in net.parameters]
    places = [
        row[:, 3:-5].view(p.shape) if i % 3 else None
        for i, (row, p) in enumerate(zip(rows, net.parameters, strict=True))
    ]
    net.backward(made, end, places, of_x=None)
    for row, place, whole in zip(rows, places, everything[1:], strict=True):
        if place is None:
            assert (row == 7).all()
            continue
        assert torch.equal(place, whole)
        assert (row[:, :3] == 7).all()
        assert (row[:, -5:] == 7).all()


@pytest.mark.parametrize("shape", list(SHAPES))
@rounding_or_not
def test_a_members_numbers_depend_on_nothing_but_its_own(instructions, shape, rounds):
    sizes, batch = SHAPES[shape]
    net = network(sizes, batch, instructions)
    net.rounds = [rounds] * len(net.slopes)
    end = drawn((MEMBERS, batch, sizes[-1]), 7)
    made, gradients = run(net, end)
    for member in range(MEMBERS):
        own = slice(member, member + 1)
        alone = Network(
            [p[own].clone() for p in net.parameters],
            net.slopes,
            net.tanh,
            net.x[own].clone(),
            instructions,
            net.rounds,
        )
        by_itself, gradients_of_it = run(alone, end[own].contiguous())
        assert torch.equal(by_itself, made[own])
        for ours, theirs in zip(gradients_of_it, gradients, strict=True):
            assert torch.equal(ours, theirs[own])


@pytest.mark.parametrize("sizes", [(5, 33, 1), (20, 40, 3), (20, 1), (100, 8)])
@rounding_or_not
def test_inputs_that_are_padded_with_zeros_change_no_bit(instructions, sizes, rounds):
    batch, more = 32, 12
    net = network(sizes, batch, instructions)
    net.rounds = [rounds] * len(net.slopes)
    pad = torch.nn.functional.pad
    first, *rest = net.parameters
    padded = Network(
        [pad(first, (0, more)), *rest],
        net.slopes,
        net.tanh,
        pad(net.x, (0, more)),
        instructions,
        net.rounds,
    )
    end = drawn((MEMBERS, batch, sizes[-1]), 7)
    (made, gradients), (others, theirs) = run(net, end), run(padded, end)
    assert torch.equal(made, others)
    for i, (ours, wide) in enumerate(zip(gradients, theirs, strict=True)):
        assert torch.equal(ours, wide[..., :-more] if i < 2 else wide)
    assert (theirs[1][..., -more:] == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("slope", [0.0, 0.2])
@with_each
def test_what_is_not_finite_goes_through_as_in_torch_and_to_no_neighbour(instructions, bad, slope):
    sizes, batch = (16, 33, 20, 4), 9
    net = network(sizes, batch, instructions, slope=slope)
    end = drawn((MEMBERS, batch, sizes[-1]), 7)
    made, gradients = run(net, end)
    net.x = net.x.clone()
    net.x[1, 4, 2] = bad
    spoilt, of_them = run(net, end)
    expected, wanted = by_autograd(net, end)
    assert torch.equal(spoilt[1].isnan(), expected[1].isnan())
    assert not spoilt[1, 4].isfinite().all()
    for ours, theirs, before in zip(
        (spoilt, *of_them), (expected, *wanted), (made, *gradients), strict=True
    ):
        finite = theirs[1].isfinite()
        assert torch.equal(ours[1].isfinite(), finite)
        if finite.any():
            assert_near(ours[1][finite], theirs[1][finite])
        assert torch.equal(ours[::2], before[::2])


def by_rounded_factors(net, end):
    """In float64, but for the factors of products: outputs, and gradients as `run` has them."""

    def near(t):
        return t.float().bfloat16().double()

    weights, biases = ([p.double() for p in net.parameters[i::2]] for i in (0, 1))
    came, sums = [net.x.double()], []
    for weight, bias, slope in zip(weights, biases, net.slopes, strict=True):
        sums.append(torch.baddbmm(bias[:, None], near(came[-1]), near(weight).mT))
        made = sums[-1] if slope is None else nn.functional.leaky_relu(sums[-1], slope)
        came.append(made)
    gradient, gradients = end.double(), []
    for i in reversed(range(len(weights))):
        if net.slopes[i] is not None:
            gradient = torch.where(sums[i] > 0, gradient, gradient * net.slopes[i])
        gradients = [torch.bmm(near(gradient).mT, near(came[i])), gradient.sum(1), *gradients]
        gradient = torch.bmm(near(gradient), near(weights[i]))
    return came[-1], [gradient, *gradients]


# One dot product, as logits are, is not rounded.
@pytest.mark.parametrize("shape", [s for s, (sizes, _) in SHAPES.items() if sizes[-1] > 1])
@with_rounding
def test_rounded_factors_are_the_nearest_of_bfloat16_and_sums_are_not_rounded(instructions, shape):
    sizes, batch = SHAPES[shape]
    net = network(sizes, batch, instructions)
    end = drawn((MEMBERS, batch, sizes[-1]), 7)
    plain, _ = run(net, end)
    net.rounds = [True] * len(net.slopes)
    made, gradients = run(net, end)
    expected, wanted = by_rounded_factors(net, end)
    assert not torch.equal(made, plain)
    for ours, theirs in zip((made, *gradients), (expected, *wanted), strict=True):
        # A sum beside the middle of two numbers of bfloat16 may be rounded to the other: 0.4% of
        # single factors.
        assert (ours.double() - theirs).norm() <= 1e-3 * theirs.norm()


@with_rounding
def test_layers_that_do_not_round_are_as_without(instructions):
    sizes, batch = (16, 33, 20, 4), 9
    net = network(sizes, batch, instructions)
    plain = net.forward()
    net.rounds = [False, False, True]
    made = net.forward()
    assert all(torch.equal(a, b) for a, b in zip(made[:2], plain[:2], strict=True))
    assert not torch.equal(made[2], plain[2])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@with_rounding
def test_what_is_not_finite_goes_through_rounding_too_and_to_no_neighbour(instructions, bad):
    net = network((33, 20), 9, instructions)
    net.rounds = [True]
    end = drawn((MEMBERS, 9, 20), 7)
    made, gradients = run(net, end)
    net.x = net.x.clone()
    net.x[1, 4, 2] = bad
    spoilt, of_them = run(net, end)
    assert not spoilt[1, 4].isfinite().any()
    assert not of_them[1][1, :, 2].isfinite().any()
    assert torch.equal(spoilt[1, [*range(4), *range(5, 9)]], made[1, [*range(4), *range(5, 9)]])
    for ours, before in zip((spoilt, *of_them), (made, *gradients), strict=True):
        assert torch.equal(ours[::2], before[::2])


@with_each
def test_tanh_is_right_to_five_units_in_the_last_place(instructions):
    powers = torch.logspace(-44, 1.5, 1 << 16)
    special = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 7.9988, 9.0])
    x = torch.cat((torch.linspace(-20, 20, 1 << 16), powers, -powers, special)).view(1, -1, 1)
    one = [torch.ones(1, 1, 1), torch.zeros(1, 1)]
    # -0 + 0 = 0: the bias takes the sign of a zero.
    (made,) = Network(one, [None], True, x, instructions).forward()
    expected = x.double().tanh()
    near = expected.float().abs()
    unit = torch.nextafter(near, torch.tensor(2.0)) - near
    errors = ((made.double() - expected).abs() / unit.double()).flatten()
    assert torch.equal(made.isnan(), x.isnan())
    assert errors[~errors.isnan()].max() < 5
    assert made[~made.isnan()].abs().max() <= 1


@with_each
def test_other_types_shapes_and_threads_are_not_suited(instructions):
    x, own = drawn((MEMBERS, 4, 5), 1), parameters_of((5, 7, 2))
    assert is_suited(x, own)
    assert not is_suited(x.double(), [p.double() for p in own])
    assert not is_suited(x, [own[0].double(), *own[1:]])
    assert not is_suited(x, [own[0], own[1].double(), *own[2:]])
    assert not is_suited(x.to("meta"), [p.to("meta") for p in own])
    assert not is_suited(x[..., :4], own)
    assert not is_suited(x[:2], own)
    assert not is_suited(x[:, :0], own)
    assert not is_suited(x, [])
    assert not is_suited(x, own[2:])
    assert not is_suited(x, [own[0], own[3], *own[2:]])
    assert not is_suited(x, [own[0].mT.contiguous().mT, *own[1:]])
    assert not is_suited(x, [own[0], own[1].repeat(1, 2)[:, ::2], *own[2:]])
    assert not is_suited(x, [own[0][:, :0], own[1][:, :0]])
    assert is_suited(x, own, rounds=True) is (best_instructions() >= Instructions.AVX512_BF16)
    torch.set_num_threads(2)
    assert not is_suited(x, own)
