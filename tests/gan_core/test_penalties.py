import math

import pytest
import torch

from gan_core.penalties import clip_weights_, wgan_gp

SHAPE = (1, 3, 2)


def samples(members=2, batch=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = (members, batch, *SHAPE)
    real, fake = (torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(2))
    mix = torch.rand(members, batch, generator=generator, dtype=torch.float64)
    return {"real": real, "fake": fake, "mix": mix}


def weights(members=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, 6, generator=generator, dtype=torch.float64)


def linear(w):
    return lambda x: torch.einsum("mbi,mi->mb", x.flatten(2), w)


def curved(w):
    return lambda x: torch.sin(linear(w)(x)) + x.pow(3).sum((2, 3, 4))


def test_a_linear_discriminator_is_penalised_by_its_weights_norm_alone():
    w = weights()
    expected = (w.norm(dim=1) - 1).square()[:, None].expand(2, 5)
    torch.testing.assert_close(wgan_gp(linear(w), **samples()), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("norm", [0.5, 1.0, 4.0])
def test_only_a_slope_of_one_is_free(norm):
    w = weights()
    w = w / w.norm(dim=1, keepdim=True) * norm
    value = wgan_gp(linear(w), **samples())
    torch.testing.assert_close(value, torch.full_like(value, (norm - 1) ** 2), rtol=0, atol=1e-12)


def test_a_zero_gradient_gives_one_and_passes_nothing_on():
    w = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    value = wgan_gp(linear(w), **samples())
    assert torch.equal(value, torch.ones_like(value))
    (gradient,) = torch.autograd.grad(value.sum(), w)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_its_gradient_in_the_parameters_equals_finite_differences():
    # D's mixed second derivative; the finite difference is over the whole penalty.
    inputs = samples()
    for build in (linear, curved):
        w = weights().requires_grad_()
        assert torch.autograd.gradcheck(lambda w, build=build: wgan_gp(build(w), **inputs), (w,))


def test_the_gradient_is_taken_between_real_and_fake():
    inputs = samples()
    for mix, end in ((1.0, "real"), (0.0, "fake")):
        value = wgan_gp(
            curved(weights()), **(inputs | {"mix": torch.full((2, 5), mix, dtype=torch.float64)})
        )
        x = inputs[end].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(curved(weights())(x).sum(), x)
        expected = (gradient.flatten(2).norm(dim=2) - 1).square()
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


def test_samples_and_members_do_not_see_each_other():
    inputs, w = samples(), weights()
    whole = wgan_gp(curved(w), **inputs)
    changed = {name: tensor.clone() for name, tensor in inputs.items()}
    changed["real"][1, 3] = math.nan
    value = wgan_gp(curved(w), **changed)
    assert value[1, 3].isnan()
    value[1, 3] = whole[1, 3]
    assert torch.equal(value, whole)


def test_no_gradient_reaches_the_samples():
    inputs = samples()
    w = weights().requires_grad_()
    value = wgan_gp(curved(w), **inputs)
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
