import math

import numpy as np
import pytest
import torch

from gan_core.penalties import clip_weights_, dragan, r1, r1r2, wgan_gp

SHAPE = (1, 3, 2)


def samples(members=2, batch=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = (members, batch, *SHAPE)
    real, fake = (torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(2))
    mix = torch.rand(members, batch, generator=generator, dtype=torch.float64)
    around = torch.rand(size, generator=generator, dtype=torch.float64)
    return {"real": real, "fake": fake, "mix": mix, "perturbation": around}


READS = {
    wgan_gp: ("real", "fake", "mix"),
    dragan: ("real", "perturbation", "mix"),
    r1: ("real",),
    r1r2: ("real", "fake"),
}
# Of a D with a gradient of this norm everywhere.
VALUE = {
    wgan_gp: lambda norm: (norm - 1) ** 2,
    dragan: lambda norm: (norm - 1) ** 2,
    r1: lambda norm: norm**2 / 2,
    r1r2: lambda norm: norm**2,
}
every_penalty = pytest.mark.parametrize("penalty", list(READS), ids=lambda p: p.__name__)


def of(penalty, critic, inputs):
    return penalty(critic, **{name: inputs[name] for name in READS[penalty]})


def weights(members=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, 6, generator=generator, dtype=torch.float64)


def linear(w):
    return lambda x: torch.einsum("mbi,mi->mb", x.flatten(2), w)


def curved(w):
    return lambda x: torch.sin(linear(w)(x)) + x.pow(3).sum((2, 3, 4))


def full(mix):
    return torch.full((2, 5), mix, dtype=torch.float64)


def slope(w, x):
    """The norm of the curved D's gradient at x, [members, batch]."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(curved(w)(x).sum(), x)
    return gradient.flatten(2).norm(dim=2)


@every_penalty
def test_a_linear_discriminator_is_penalised_by_its_weights_norm_alone(penalty):
    w = weights()
    expected = VALUE[penalty](w.norm(dim=1))[:, None].expand(2, 5)
    torch.testing.assert_close(of(penalty, linear(w), samples()), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("norm", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("penalty", [wgan_gp, dragan])
def test_only_a_slope_of_one_is_free(penalty, norm):
    w = weights()
    w = w / w.norm(dim=1, keepdim=True) * norm
    value = of(penalty, linear(w), samples())
    torch.testing.assert_close(value, torch.full_like(value, (norm - 1) ** 2), rtol=0, atol=1e-12)


@every_penalty
def test_a_zero_gradient_gives_its_value_and_passes_nothing_on(penalty):
    w = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    value = of(penalty, linear(w), samples())
    assert torch.equal(value, torch.full_like(value, VALUE[penalty](0)))
    (gradient,) = torch.autograd.grad(value.sum(), w)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("build", [linear, curved])
@every_penalty
def test_its_gradient_in_the_parameters_equals_finite_differences(penalty, build):
    # D's mixed second derivative; the finite difference is over the whole penalty.
    inputs, w = samples(), weights().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: of(penalty, build(w), inputs), (w,))


def test_wgan_gp_takes_the_gradient_between_real_and_fake():
    inputs, w = samples(), weights()
    for mix, end in ((1.0, "real"), (0.0, "fake")):
        value = of(wgan_gp, curved(w), inputs | {"mix": full(mix)})
        expected = (slope(w, inputs[end]) - 1).square()
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


def test_dragan_takes_it_between_real_and_a_copy_off_by_half_the_batchs_deviation():
    inputs, w = samples(), weights()
    real, around = inputs["real"], inputs["perturbation"]
    for mix in (0.0, 0.3, 1.0):
        value = of(dragan, curved(w), inputs | {"mix": full(mix)})
        for member in range(2):
            copy = real[member] + 0.5 * np.std(real[member].numpy()) * around[member]
            x = (1 - mix) * real[member] + mix * copy
            expected = (slope(w[member : member + 1], x[None])[0] - 1).square()
            torch.testing.assert_close(value[member], expected, rtol=1e-12, atol=1e-12)


def test_r1_takes_it_at_the_real_samples_and_r2_adds_the_fake_ones():
    inputs, w = samples(), weights()
    at_real, at_fake = (slope(w, inputs[end]).square() / 2 for end in ("real", "fake"))
    torch.testing.assert_close(of(r1, curved(w), inputs), at_real, rtol=1e-12, atol=1e-12)
    both = of(r1r2, curved(w), inputs)
    torch.testing.assert_close(both, at_real + at_fake, rtol=1e-12, atol=1e-12)


@every_penalty
def test_samples_and_members_do_not_see_each_other(penalty):
    inputs, w = samples(), weights()
    whole = of(penalty, curved(w), inputs)
    changed = {name: tensor.clone() for name, tensor in inputs.items()}
    changed["real"][1, 3] = math.nan
    value = of(penalty, curved(w), changed)
    # DRAGAN's deviation is of the member's whole batch.
    spoilt = torch.zeros(2, 5, dtype=torch.bool)
    spoilt[1, slice(None) if penalty is dragan else 3] = True
    assert torch.equal(value.isnan(), spoilt)
    assert torch.equal(value[~spoilt], whole[~spoilt])


@every_penalty
def test_no_gradient_reaches_the_samples(penalty):
    inputs = samples()
    value = of(penalty, curved(weights().requires_grad_()), inputs)
    assert value.requires_grad
    assert not any(tensor.requires_grad for tensor in inputs.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clipping_keeps_what_is_inside_and_bounds_the_rest_by_each_members_own(dtype):
    before = torch.linspace(-2, 2, 41, dtype=dtype).repeat(3, 1)
    bound = torch.tensor([[0.01], [0.5], [10.0]], dtype=dtype)
    after = before.clone()
    clip_weights_(after, bound)
    for member, limit in enumerate(bound[:, 0].tolist()):
        assert (after[member].abs() <= bound[member]).all()
        inside = before[member].abs() <= limit
        assert torch.equal(after[member][inside], before[member][inside])
        assert torch.equal(after[member].sign(), before[member].sign())
    again = after.clone()
    clip_weights_(again, bound)
    assert torch.equal(again, after)


def test_clipping_bounds_infinity_and_leaves_nan():
    weights = torch.tensor([[math.nan, math.inf, -math.inf, 0.25]])
    clip_weights_(weights, torch.tensor([[0.5]]))
    assert weights[0, 0].isnan()
    assert weights[0, 1:].tolist() == [0.5, -0.5, 0.25]


def test_clipping_writes_through_a_slice_and_spares_the_rest():
    weights = torch.full((4, 3), 7.0)
    clip_weights_(weights[1:3], torch.tensor([[1.0], [2.0]]))
    assert weights[:, 0].tolist() == [7, 1, 2, 7]
