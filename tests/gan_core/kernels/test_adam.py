import pytest
import torch

from gan_core.adam import Rates, adam_step_, descend_
from gan_core.kernels import adam

pytestmark = pytest.mark.usefixtures("one_thread")

MEMBERS, WIDTH = 5, 16 * 13


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def case(seed=1, width=WIDTH):
    generator = torch.Generator().manual_seed(seed)
    parameters, gradient, moment1, moment2 = (
        torch.randn(MEMBERS, width, generator=generator) for _ in range(4)
    )
    rates = Rates(
        lr=column(1e-3, 1e-2, 0.0, 1e-4, 0.1),
        beta1=column(0.0, 0.5, 0.9, 0.5, 0.9),
        beta2=column(0.9, 0.99, 0.999, 0.5, 0.999),
    )
    count = torch.tensor([1, 2, 3, 1000, 100000])[:, None]
    return parameters, gradient, moment1, moment2.square(), rates, count


def descended(parameters, gradient, moment1, moment2, rates, count, alive=None):
    alive = torch.ones(MEMBERS, dtype=torch.bool) if alive is None else alive
    own = [t.clone() for t in (parameters, gradient, moment1, moment2)]
    norms = descend_(*own, rates=rates, count=count, alive=alive)
    return own[0], own[2], own[3], norms, alive


def test_updates_are_those_of_torchs_adam():
    parameters, gradient, *moments, rates, count = case()
    assert adam.is_suited(parameters)
    *made, norms, alive = descended(parameters, gradient, *moments, rates, count)
    own = [t.clone() for t in (parameters, gradient, *moments)]
    adam_step_(*own, rates=rates, count=count)
    for ours, theirs in zip(made, (own[0], *own[2:]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(norms, gradient.norm(dim=1), rtol=1e-6, atol=0)
    assert alive.all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 3e38])
def test_a_gradient_that_is_not_finite_ends_its_own_member_alone(bad):
    # 3e38 is finite and its square is not: no step of such a length is made either.
    parameters, gradient, *moments, rates, count = case()
    whole = descended(parameters, gradient, *moments, rates, count)
    gradient[1, 7] = bad
    made = descended(parameters, gradient, *moments, rates, count)
    assert made[4].tolist() == [True, False, True, True, True]
    assert not made[3][1].isfinite()
    others = [0, 2, 3, 4]
    for ours, before in zip(made[:4], whole[:4], strict=True):
        assert torch.equal(ours[others], before[others])
    assert torch.equal(made[0][1], parameters[1])


def test_who_is_dead_already_stays_as_it_was():
    parameters, gradient, *moments, rates, count = case()
    alive = torch.tensor([True, True, True, False, True])
    made = descended(parameters, gradient, *moments, rates, count, alive=alive)
    assert made[4].tolist() == [True, True, True, False, True]
    assert torch.equal(made[0][3], parameters[3])
    assert not torch.equal(made[0][4], parameters[4])


def test_zeros_at_the_rows_end_change_no_bit():
    # A cohort's rows are as long as its longest kind of D.
    parameters, gradient, *moments, rates, count = case()
    made = descended(parameters, gradient, *moments, rates, count)
    for more in (16, 48, 80):
        pad = [torch.nn.functional.pad(t, (0, more)) for t in (parameters, gradient, *moments)]
        wide = descended(*pad, rates, count)
        for ours, theirs in zip(made[:3], wide[:3], strict=True):
            assert torch.equal(ours, theirs[:, :-more])
        assert torch.equal(made[3], wide[3])


def test_rates_that_are_not_next_to_each_other_are_read_right():
    parameters, gradient, *moments, rates, count = case()
    expected = descended(parameters, gradient, *moments, rates, count)
    spread = Rates(
        **{
            name: torch.stack((getattr(rates, name)[:, 0],) * 2, dim=1)[:, :1]
            for name in ("lr", "beta1", "beta2")
        }
    )
    assert not spread.lr.is_contiguous()
    made = descended(parameters, gradient, *moments, spread, count.repeat(1, 2)[:, :1])
    assert torch.equal(made[0], expected[0])


def test_other_types_and_threads_are_not_suited():
    assert not adam.is_suited(torch.zeros(2, 2, dtype=torch.float64))
    assert not adam.is_suited(torch.zeros(2, 2, device="meta"))
    torch.set_num_threads(2)
    assert not adam.is_suited(torch.zeros(2, 2))
