import math

import pytest
import torch

from gan_core.config import AdversarialLoss
from gan_core.losses import d_loss, g_loss, needs_real, real_threshold

LOSSES = list(AdversarialLoss)
LABELLED = [loss for loss in LOSSES if loss.has_labels]
LN2 = math.log(2)

# A D that cannot tell, so answers alike everywhere: its best constant logit, its loss, G's loss.
UNDECIDED = {
    AdversarialLoss.MINIMAX: (0.0, 2 * LN2, -LN2),
    AdversarialLoss.NONSATURATING: (0.0, 2 * LN2, LN2),
    AdversarialLoss.LSGAN: (0.5, 0.25, 0.125),
    AdversarialLoss.HINGE: (0.0, 2.0, 0.0),
    AdversarialLoss.WASSERSTEIN: (0.0, 0.0, 0.0),
    AdversarialLoss.RELATIVISTIC: (0.0, LN2, LN2),
}


def logits(n=64, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, generator=generator, dtype=torch.float64) * scale


def of_g(loss, *, real, fake):
    """G's loss, told of the real samples only where it asks for them."""
    return g_loss(loss, fake=fake, real=real if needs_real(loss) else None)


def leaf(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_undecided_discriminator_scores_the_known_constants(loss):
    logit, d, g = UNDECIDED[loss]
    a = leaf(logit)
    # 1e-15: a few roundings of numbers near 1.
    assert d_loss(loss, real=a, fake=a).item() == pytest.approx(d, abs=1e-15)
    assert of_g(loss, real=a, fake=a).item() == pytest.approx(g, abs=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
def test_that_constant_is_the_best_one(loss):
    a = leaf(UNDECIDED[loss][0])
    d_loss(loss, real=a, fake=a).backward()
    assert a.grad.item() == pytest.approx(0, abs=1e-15)
    best = d_loss(loss, real=a, fake=a)
    for other in (-2.0, -0.3, 0.1, 0.9, 3.0):
        assert d_loss(loss, real=a + other, fake=a + other) >= best


@pytest.mark.parametrize("loss", LABELLED)
def test_with_smoothing_an_undecided_discriminator_answers_half_the_target(loss):
    target = 0.9
    a = leaf(math.log(0.45 / 0.55))  # D(x) = t / 2
    value = d_loss(loss, real=a, fake=a, smoothing=1 - target)
    value.backward()
    assert a.grad.item() == pytest.approx(0, abs=1e-15)
    assert value.item() == pytest.approx(1.37628, abs=5e-6)  # five published decimals
    nonsaturating = g_loss(AdversarialLoss.NONSATURATING, fake=a)
    assert nonsaturating.item() == pytest.approx(-math.log(0.45), abs=1e-15)


@pytest.mark.parametrize("loss", LABELLED)
@pytest.mark.parametrize("smoothing", [0.1, 0.25, 0.5, 0.9])
def test_the_real_term_is_least_where_d_answers_the_target(loss, smoothing):
    a = leaf(math.log((1 - smoothing) / smoothing))  # sigmoid(a) = 1 - smoothing
    b = leaf(0.7)
    d_loss(loss, real=a, fake=b, smoothing=smoothing).backward()
    assert a.grad.item() == pytest.approx(0, abs=1e-15)
    assert b.grad.item() == pytest.approx(torch.sigmoid(b).item(), abs=1e-15)


@pytest.mark.parametrize("loss", LABELLED)
def test_the_losses_with_labels_are_the_cross_entropy_to_soft_targets(loss):
    from torch.nn.functional import binary_cross_entropy_with_logits as bce

    a, b = logits(seed=1), logits(seed=2)
    for smoothing in (0.0, 0.3):
        expected = bce(a, torch.full_like(a, 1 - smoothing), reduction="none") + bce(
            b, torch.zeros_like(b), reduction="none"
        )
        drawn = d_loss(loss, real=a, fake=b, smoothing=smoothing)
        torch.testing.assert_close(drawn, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
def test_smoothing_touches_the_real_term_alone_and_only_where_there_are_labels(loss):
    a, b, c = logits(seed=1), logits(seed=2), logits(seed=3)
    plain, smooth = (d_loss(loss, real=a, fake=b, smoothing=s) for s in (0.0, 0.2))
    if not loss.has_labels:
        assert torch.equal(plain, smooth)
        return
    # t sp(-a) + (1 - t) sp(a) = sp(-a) + (1 - t) a: the difference knows nothing of the fake.
    torch.testing.assert_close(smooth - plain, 0.2 * a, rtol=0, atol=1e-14)
    other = d_loss(loss, real=a, fake=c, smoothing=0.2)
    fake_only = torch.nn.functional.softplus(c) - torch.nn.functional.softplus(b)
    torch.testing.assert_close(other - smooth, fake_only, rtol=0, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_equal_finite_differences(loss):
    a, b = logits(seed=4).requires_grad_(), logits(seed=5).requires_grad_()
    for kink in (a - 1, b + 1):  # hinge's: central differences of 1e-6 must not cross them
        assert kink.abs().min() > 1e-3
    assert torch.autograd.gradcheck(
        lambda x, y: d_loss(loss, real=x, fake=y, smoothing=0.1), (a, b)
    )
    assert torch.autograd.gradcheck(lambda y: of_g(loss, real=a.detach(), fake=y), (b,))


@pytest.mark.parametrize("loss", LOSSES)
def test_d_wants_real_up_and_fake_down_and_g_wants_fake_up(loss):
    # lsgan's slope turns at its labels: between them all losses agree.
    a = torch.linspace(0.05, 0.95, 20, dtype=torch.float64).requires_grad_()
    b = torch.linspace(0.05, 0.95, 20, dtype=torch.float64).requires_grad_()
    d_loss(loss, real=a, fake=b).sum().backward()
    assert (a.grad < 0).all()
    assert (b.grad > 0).all()
    (gradient,) = torch.autograd.grad(of_g(loss, real=a, fake=b).sum(), b)
    assert (gradient < 0).all()


def test_minimax_and_nonsaturating_differ_where_d_is_sure():
    # Goodfellow et al. 2014, sec. 3: the first gives G next to no gradient there.
    b = leaf(-20.0)
    slopes = {loss: torch.autograd.grad(g_loss(loss, fake=b), b)[0].item() for loss in LABELLED}
    assert abs(slopes[AdversarialLoss.MINIMAX]) < 1e-8
    assert slopes[AdversarialLoss.NONSATURATING] == pytest.approx(-1, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_large_logits_give_finite_losses_and_gradients(loss, dtype):
    for a, b in [(1e4, -1e4), (-1e4, 1e4), (1e4, 1e4), (-1e4, -1e4)]:
        real = torch.tensor(a, dtype=dtype, requires_grad=True)
        fake = torch.tensor(b, dtype=dtype, requires_grad=True)
        for value in (
            d_loss(loss, real=real, fake=fake, smoothing=0.1),
            of_g(loss, real=real, fake=fake) + 0 * real,
        ):
            assert value.isfinite()
            assert all(g.isfinite() for g in torch.autograd.grad(value, (real, fake)))


@pytest.mark.parametrize("loss", LOSSES)
def test_nan_stays_nan_at_its_own_sample(loss):
    bad = torch.tensor([1.0, math.nan, -1.0])
    good = torch.tensor([0.5, 0.5, 0.5])
    for value in (
        d_loss(loss, real=bad, fake=good, smoothing=0.1),
        d_loss(loss, real=good, fake=bad, smoothing=0.1),
        of_g(loss, real=good, fake=bad),
    ):
        assert value.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_per_sample_and_of_the_logits_shape(loss):
    a, b = logits(24, seed=1), logits(24, seed=2)
    shaped = d_loss(loss, real=a.view(2, 3, 4), fake=b.view(2, 3, 4), smoothing=0.1)
    assert torch.equal(shaped.flatten(), d_loss(loss, real=a, fake=b, smoothing=0.1))
    of_two = of_g(loss, real=a.view(2, 12), fake=b.view(2, 12))
    assert torch.equal(of_two.flatten(), of_g(loss, real=a, fake=b))
    empty = torch.empty(2, 0)
    assert d_loss(loss, real=empty, fake=empty).shape == (2, 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_member_may_have_its_own_smoothing(loss):
    a, b = logits(12, seed=1).view(3, 4), logits(12, seed=2).view(3, 4)
    smoothing = torch.tensor([0.0, 0.1, 0.5], dtype=torch.float64)
    together = d_loss(loss, real=a, fake=b, smoothing=smoothing[:, None])
    for i, s in enumerate(smoothing.tolist()):
        assert torch.equal(together[i], d_loss(loss, real=a[i], fake=b[i], smoothing=s))


@pytest.mark.parametrize("loss", LOSSES)
def test_real_and_fake_cannot_be_swapped_unseen(loss):
    a, b = logits(seed=1), logits(seed=2)
    with pytest.raises(TypeError):
        d_loss(loss, a, b)
    assert not torch.allclose(d_loss(loss, real=a, fake=b), d_loss(loss, real=b, fake=a))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_threshold_is_the_logit_of_an_undecided_discriminator_but_a_critic_has_none(loss):
    critics = (AdversarialLoss.WASSERSTEIN, AdversarialLoss.RELATIVISTIC)
    expected = None if loss in critics else UNDECIDED[loss][0]
    assert real_threshold(loss) == expected


@pytest.mark.parametrize("loss", LOSSES)
def test_only_the_relativistic_loss_shows_g_the_real_samples(loss):
    a, b = logits(seed=1), logits(seed=2)
    assert needs_real(loss) is (loss is AdversarialLoss.RELATIVISTIC)
    if needs_real(loss):
        with pytest.raises(ValueError, match="needs the logits on real samples"):
            g_loss(loss, fake=b)
    else:
        assert torch.equal(g_loss(loss, fake=b, real=a), g_loss(loss, fake=b))


def test_the_relativistic_players_judge_pairs_by_their_difference_in_mirrored_roles():
    # Jolicoeur-Martineau 2018, sec. 3.2: only D(real) - D(fake) counts.
    loss, a, b = AdversarialLoss.RELATIVISTIC, logits(seed=1), logits(seed=2)
    for shift in (-3.0, 40.0):
        moved = {"real": a + shift, "fake": b + shift}
        # Adding 40 rounds the logits' last bits.
        torch.testing.assert_close(
            d_loss(loss, **moved), d_loss(loss, real=a, fake=b), rtol=0, atol=1e-13
        )
    assert torch.equal(g_loss(loss, real=a, fake=b), d_loss(loss, real=b, fake=a))
    expected = -torch.log(torch.sigmoid(a - b))
    torch.testing.assert_close(d_loss(loss, real=a, fake=b), expected, rtol=1e-12, atol=1e-12)
