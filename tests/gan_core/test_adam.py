import math

import pytest
import torch

from gan_core.adam import Rates, _step_all_, adam_step_

LR = [1e-4, 3e-3, 0.2, 0.05]
BETA1 = [0.5, 0.0, 0.9, 0.99]
BETA2 = [0.999, 0.9, 0.99, 0.0]
MEMBERS, WIDTH = 4, 48


def column(values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def rates(lr=LR, beta1=BETA1, beta2=BETA2):
    return Rates(lr=column(lr), beta1=column(beta1), beta2=column(beta2))


def counts(n, members=MEMBERS):
    return torch.full((members, 1), n)


def start(dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    parameters = torch.randn(MEMBERS, WIDTH, generator=generator, dtype=dtype)
    return parameters, torch.zeros_like(parameters), torch.zeros_like(parameters), generator


def gradient_of(generator, n, dtype=torch.float64):
    """Of a size that changes by orders of magnitude, with exact zeros."""
    gradient = torch.randn(MEMBERS, WIDTH, generator=generator, dtype=dtype)
    return gradient.mul_(10.0 ** (n % 7 - 3)).masked_fill_(gradient.abs() < 1e-4, 0)


def test_each_member_is_updated_as_torchs_adam_would_alone():
    parameters, moment1, moment2, generator = start()
    alone = [torch.nn.Parameter(row.clone()) for row in parameters]
    adams = [
        torch.optim.Adam([p], lr=lr, betas=(b1, b2))
        for p, lr, b1, b2 in zip(alone, LR, BETA1, BETA2, strict=True)
    ]
    for n in range(1, 101):
        gradient = gradient_of(generator, n)
        for member, adam in enumerate(adams):
            alone[member].grad = gradient[member].clone()
            adam.step()
        adam_step_(parameters, gradient, moment1, moment2, rates=rates(), count=counts(n))
        # Both round in another order: some 1e-16 a step of numbers near 1.
        expected = torch.stack([p.detach() for p in alone])
        torch.testing.assert_close(parameters, expected, rtol=1e-12, atol=1e-12)


def test_what_gpus_run_makes_the_same_updates():
    (parameters, *moments, generator), (others, *other_moments, _) = start(), start()
    for n in range(1, 51):
        gradient = gradient_of(generator, n)
        adam_step_(parameters, gradient.clone(), *moments, rates=rates(), count=counts(n))
        _step_all_(others, gradient, *other_moments, rates=rates(), count=counts(n))
    for one, other in zip((parameters, *moments), (others, *other_moments), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_members_may_be_at_different_counts():
    old, m1, m2, generator = start()
    gradients = [gradient_of(generator, n) for n in range(6)]
    for n, gradient in enumerate(gradients[:5], start=1):
        adam_step_(old, gradient.clone(), m1, m2, rates=rates(), count=counts(n))
    # A newcomer in row 1, with cleared moments, beside three that are at their sixth update.
    fresh = start()[0][1]
    old[1], m1[1], m2[1] = fresh, 0, 0
    count = torch.tensor([[6], [1], [6], [6]])
    adam_step_(old, gradients[5].clone(), m1, m2, rates=rates(), count=count)
    alone = torch.nn.Parameter(fresh.clone())
    alone.grad = gradients[5][1].clone()
    torch.optim.Adam([alone], lr=LR[1], betas=(BETA1[1], BETA2[1])).step()
    torch.testing.assert_close(old[1], alone.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_step_is_the_rate_against_the_gradients_sign(dtype):
    parameters, moment1, moment2, generator = start(dtype)
    before = parameters.clone()
    gradient = torch.randn(MEMBERS, WIDTH, generator=generator, dtype=dtype)
    gradient += gradient.sign()  # away from zero, where epsilon would matter
    step = -gradient.sign() * column(LR).to(dtype)
    adam_step_(parameters, gradient, moment1, moment2, rates=rates(), count=counts(1))
    # epsilon / |gradient| <= 1e-8, and the rounding of a difference of numbers up to 4.
    atol = 1e-8 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(parameters - before, step, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rate_of_zero_leaves_the_parameters_bitwise(dtype):
    parameters, moment1, moment2, generator = start(dtype)
    before = parameters.clone()
    stopped = rates(lr=[1e-3, 0.0, 1e-3, 0.0])
    for n in range(1, 20):
        gradient = gradient_of(generator, n, dtype)
        adam_step_(parameters, gradient, moment1, moment2, rates=stopped, count=counts(n))
    assert torch.equal(parameters[[1, 3]], before[[1, 3]])
    assert (parameters[[0, 2]] != before[[0, 2]]).any(dim=1).all()


def test_a_zero_gradient_on_zero_moments_moves_nothing():
    # What padding relies on.
    parameters, moment1, moment2, _ = start()
    parameters[:, 7] = 0
    before = parameters.clone()
    for n in range(1, 10):
        zero = torch.zeros_like(parameters)
        adam_step_(parameters, zero, moment1, moment2, rates=rates(), count=counts(n))
    assert torch.equal(parameters, before)
    assert not moment1.any()
    assert not moment2.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_nonfinite_gradient_spoils_its_own_row_and_no_other(bad, dtype):
    def run(victim):
        parameters, moment1, moment2, generator = start(dtype)
        for n in range(1, 6):
            gradient = gradient_of(generator, n, dtype)
            if victim is not None and n == 3:
                gradient[victim] = bad
            adam_step_(parameters, gradient, moment1, moment2, rates=rates(), count=counts(n))
        return parameters

    sound, spoilt = run(None), run(2)
    assert spoilt[2].isnan().all()
    others = [0, 1, 3]
    assert torch.equal(spoilt[others], sound[others])


def test_a_row_is_updated_alike_in_any_company():
    def run(rows):
        parameters, moment1, moment2, generator = start()
        parameters, moment1, moment2 = parameters[rows], moment1[rows], moment2[rows]
        own = Rates(lr=column(LR)[rows], beta1=column(BETA1)[rows], beta2=column(BETA2)[rows])
        for n in range(1, 11):
            gradient = gradient_of(generator, n)[rows]
            count = counts(n, len(rows))
            adam_step_(parameters, gradient, moment1, moment2, rates=own, count=count)
        return parameters

    together = run([0, 1, 2, 3])
    assert torch.equal(run([3, 1, 0]), together[[3, 1, 0]])
    assert torch.equal(run([2]), together[[2]])
