"""The losses and penalties on the smallest GAN there is, whose every factor is known by hand.

The Dirac-GAN (Mescheder et al. 2018, arXiv:1801.04406, sec. 2): D(x) = psi x, G = theta, all data
at 0. Real logits are a = 0 and fake ones b = psi theta; the equilibrium is (psi, theta) = (0, 0).
With dD(b) and dG(b) the derivatives of D's and G's loss by b,

    d D's loss / d psi = dD(b) theta,    d G's loss / d theta = dG(b) psi;

what D's loss makes of a drops out, for x = 0. Near the equilibrium b is of second order, so only
p = dD(0) and q = -dG(0) matter, and what is neglected is of third order. D(x) = psi x has the
gradient psi everywhere: gamma times r1 is gamma psi^2 / 2, which adds g psi to D's gradient with
g = gamma; r1r2 counts it twice, g = 2 gamma. A step of h on both takes (psi, theta) to J (psi,
theta):

    simultaneous (G's gradient through the old D)    alternating (through the new D)

    J = | 1 - h g   -h p |                           J = | 1 - h g           -h p         |
        | h q         1  |                               | h q (1 - h g)     1 - h^2 p q  |

    trace = 2 - h g,  det = 1 - h g + h^2 p q        trace = 2 - h g - h^2 p q,  det = 1 - h g

The factors per step are the roots of t^2 - trace t + det: if they are complex, both have modulus
sqrt(det). So, without a penalty, simultaneous descent diverges by |1 + i h sqrt(p q)|, and
alternating descent turns by the angle whose cosine is 1 - h^2 p q / 2 and neither grows nor
shrinks. With one, simultaneous steps have the
factors 1 + h (-g/2 +- sqrt(g^2/4 - p q)).
"""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from gan_core.config import AdversarialLoss, Penalty
from gan_core.losses import d_loss, g_loss
from gan_core.penalties import clip_weights_, dragan, r1, r1r2, wgan_gp

# (p, q). sp' is the sigmoid, 1/2 at 0. Hinge has its kinks at a = 1 and b = -1: here it is linear.
SLOPES = {
    AdversarialLoss.MINIMAX: (0.5, 0.5),
    AdversarialLoss.NONSATURATING: (0.5, 0.5),
    AdversarialLoss.LSGAN: (0.0, 1.0),
    AdversarialLoss.HINGE: (1.0, 1.0),
    AdversarialLoss.WASSERSTEIN: (1.0, 1.0),
    AdversarialLoss.RELATIVISTIC: (0.5, 0.5),
}
TURNING = [loss for loss, (p, q) in SLOPES.items() if p * q > 0]
BATCH = 4  # all alike: the mean over a batch changes nothing, a sum would


@dataclass(frozen=True)
class Game:
    """The Dirac-GAN under gradient descent, many games at once."""

    loss: AdversarialLoss
    alternating: bool
    h: float = 0.1
    penalty: Penalty | None = None
    weight: float = math.nan
    """Of the penalty, or the bound of clipping."""
    d_steps: int = 1
    """Steps on D for each on G."""

    def step(self, psi: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """[games] each, float64; descends on D, then on G."""
        new_psi = psi
        for _ in range(self.d_steps):
            new_psi = new_psi - self.h * self._d_gradient(new_psi, theta)
            if self.penalty is Penalty.CLIP:
                clip_weights_(new_psi[:, None], torch.full_like(psi, self.weight)[:, None])
        seen = new_psi if self.alternating else psi
        return new_psi, theta - self.h * self._g_gradient(seen, theta)

    def run(self, psi: list[float], theta: list[float], steps: int) -> tuple[Tensor, Tensor]:
        """The course of (psi, theta), the start included: [1 + steps, games] each."""
        course = [(_double(psi), _double(theta))]
        for _ in range(steps):
            course.append(self.step(*course[-1]))
        psis, thetas = zip(*course, strict=True)
        return torch.stack(psis), torch.stack(thetas)

    def _d_gradient(self, psi: Tensor, theta: Tensor) -> Tensor:
        psi = psi.requires_grad_(True)
        real, fake = self._samples(theta)
        value = d_loss(self.loss, real=_judge(psi, real), fake=_judge(psi, fake)).mean(1)
        (gradient,) = torch.autograd.grad((value + self._penalty(psi, real, fake)).sum(), psi)
        psi.requires_grad_(False)
        return gradient

    def _g_gradient(self, psi: Tensor, theta: Tensor) -> Tensor:
        theta = theta.requires_grad_(True)
        real, fake = self._samples(theta)
        value = g_loss(self.loss, fake=_judge(psi, fake), real=_judge(psi, real)).mean(1)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        theta.requires_grad_(False)
        return gradient

    def _samples(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        fake = theta[:, None, None].expand(-1, BATCH, 1)
        return torch.zeros_like(fake), fake

    def _penalty(self, psi: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        fake = fake.detach()
        mix = torch.linspace(0, 1, BATCH, dtype=torch.float64).expand(real.shape[:2])

        def judge(x: Tensor) -> Tensor:
            return _judge(psi, x)

        match self.penalty:
            case Penalty.R1:
                value = r1(judge, real=real)
            case Penalty.R1R2:
                value = r1r2(judge, real=real, fake=fake)
            case Penalty.WGAN_GP:
                value = wgan_gp(judge, real=real, fake=fake, mix=mix)
            case Penalty.DRAGAN:
                value = dragan(judge, real=real, perturbation=mix[..., None], mix=mix)
            case _:
                return torch.zeros_like(psi)
        return self.weight * value.mean(1)


def _double(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _judge(psi: Tensor, x: Tensor) -> Tensor:
    return psi[:, None] * x[..., 0]


# What is neglected is RADIUS^2 in each step, relatively: less than STEPS RADIUS^2 = 2e-15 in all.
# Rounding comes to STEPS 2^-53 = 2e-15 too. J's smaller factor to the power STEPS is at least 1e-4
# of the greater's below, and is seen with both errors magnified by that; TOLERANCE is twice that.
RADIUS, STEPS = 1e-8, 20
TOLERANCE = 1e-10


def measured(game: Game) -> Tensor:
    """J^STEPS of (psi, theta), [2, 2], as real iterations have it."""
    psis, thetas = game.run([RADIUS, 0], [0, RADIUS], STEPS)
    return torch.stack((psis[-1], thetas[-1])) / RADIUS


def factors(game: Game) -> list[float]:
    """The moduli of J's eigenvalues, the greater first."""
    moduli = torch.linalg.eigvals(measured(game)).abs() ** (1 / STEPS)
    return sorted(moduli.tolist(), reverse=True)


def roots(trace: float, det: float) -> list[float]:
    """Moduli of the roots of t^2 - trace t + det, the greater first."""
    discriminant = trace**2 / 4 - det
    if discriminant < 0:
        return [math.sqrt(det)] * 2
    return [trace / 2 + math.sqrt(discriminant), trace / 2 - math.sqrt(discriminant)]


def radii(psis: Tensor, thetas: Tensor) -> Tensor:
    return torch.hypot(psis, thetas)


def test_every_loss_is_here():
    assert set(SLOPES) == set(AdversarialLoss)


@pytest.mark.parametrize("loss", AdversarialLoss)
@pytest.mark.parametrize("alternating", [False, True])
def test_without_a_penalty_steps_are_those_of_the_derived_jacobian(loss, alternating):
    p, q = SLOPES[loss]
    h = 0.1
    last = 1 - h**2 * p * q if alternating else 1.0
    jacobian = torch.tensor([[1, -h * p], [h * q, last]], dtype=torch.float64)
    expected = torch.linalg.matrix_power(jacobian, STEPS)
    actual = measured(Game(loss, alternating, h))
    torch.testing.assert_close(actual, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("loss", TURNING)
@pytest.mark.parametrize("h", [0.05, 0.1])
def test_simultaneous_descent_without_a_penalty_diverges(loss, h):
    p, q = SLOPES[loss]
    expected = abs(1 + 1j * h * math.sqrt(p * q))
    assert factors(Game(loss, False, h)) == pytest.approx([expected] * 2, abs=TOLERANCE)
    assert expected > 1 + 10 * TOLERANCE


@pytest.mark.parametrize("loss", TURNING)
@pytest.mark.parametrize("h", [0.05, 0.1])
def test_alternating_descent_without_a_penalty_cycles(loss, h):
    p, q = SLOPES[loss]
    game = Game(loss, True, h)
    assert factors(game) == pytest.approx([1, 1], abs=TOLERANCE)
    # The trace of a rotation is twice the cosine of its angle.
    turned = STEPS * math.acos(1 - h**2 * p * q / 2)
    assert measured(game).trace().item() == pytest.approx(2 * math.cos(turned), abs=TOLERANCE)


def test_a_critic_spirals_out_and_circles_exactly_however_far_it_is():
    """The game of wasserstein is bilinear, so nothing is neglected.

    With simultaneous steps psi^2 + theta^2 grows by 1 + h^2 each; alternating ones keep
    Q = psi^2 + theta^2 - h psi theta, as putting psi' = psi - h theta and theta' = theta + h psi'
    into it shows.
    """
    h, steps = 0.1, 500
    psis, thetas = Game(AdversarialLoss.WASSERSTEIN, False, h).run([3.0], [4.0], steps)
    expected = 25 * (1 + h**2) ** torch.arange(steps + 1, dtype=torch.float64)
    torch.testing.assert_close(psis[:, 0] ** 2 + thetas[:, 0] ** 2, expected)
    psis, thetas = Game(AdversarialLoss.WASSERSTEIN, True, h).run([3.0], [4.0], steps)
    kept = psis**2 + thetas**2 - h * psis * thetas
    torch.testing.assert_close(kept, torch.full_like(kept, 25 - h * 12))


@pytest.mark.parametrize("alternating", [False, True])
def test_lsgan_comes_to_rest_beside_the_data(alternating):
    """Its D has no slope at b = 0: J is a shear, and every (0, theta) is an equilibrium.

    dD = b and dG = b - 1, so psi' = -theta^2 psi and theta' = psi (1 - psi theta): along a course
    d psi / d theta = -theta^2 / (1 - psi theta). From (psi0, 0) it ends, to leading order, at
    psi0 = theta^3 / 3. Neglected are psi theta < 2 psi0^(4/3) and, by steps of h, h theta^2 / 2.
    """
    psi0, h = 1e-2, 0.2
    psis, thetas = Game(AdversarialLoss.LSGAN, alternating, h).run([psi0], [0.0], 1500)
    rest = (3 * psi0) ** (1 / 3)
    neglected = 2 * psi0 ** (4 / 3) + h * rest**2 / 2
    assert thetas[-1].item() == pytest.approx(rest, rel=neglected)
    assert abs(psis[-1].item()) < 1e-9 * psi0


DAMPED = list(
    itertools.product(
        TURNING,
        [(Penalty.R1, 1), (Penalty.R1R2, 2)],  # how often the penalty counts
        [1.0, 4.0],  # g / sqrt(p q): complex factors below 2, real ones above
        [False, True],
    )
)


@pytest.mark.parametrize(("loss", "penalty", "damping", "alternating"), DAMPED)
def test_r1_converges_linearly_at_the_derived_rate(loss, penalty, damping, alternating):
    p, q = SLOPES[loss]
    kind, times = penalty
    g, h = damping * math.sqrt(p * q), 0.1
    game = Game(loss, alternating, h, kind, g / times)
    if alternating:
        expected = roots(trace=2 - h * g - h**2 * p * q, det=1 - h * g)
    else:
        expected = roots(trace=2 - h * g, det=1 - h * g + h**2 * p * q)
        eigenvalue = -g / 2 + (g**2 / 4 - p * q + 0j) ** 0.5
        assert expected[0] == pytest.approx(abs(1 + h * eigenvalue), abs=1e-14)
    assert factors(game) == pytest.approx(expected, abs=TOLERANCE)
    assert expected[0] < 1


@pytest.mark.parametrize("penalty", [Penalty.R1, Penalty.R1R2])
@pytest.mark.parametrize("loss", TURNING)
def test_r1_reaches_the_equilibrium_from_afar(loss, penalty):
    psis, thetas = Game(loss, False, 0.2, penalty, 0.5).run([1.0], [1.0], 500)
    assert radii(psis, thetas)[-1].item() < 1e-6


def test_lsgan_with_r1_rests_beside_the_data_too():
    """psi falls by the factor 1 - h g whatever theta does, and theta goes h times its sum: psi / g.

    To leading order; neglected is psi theta, of second order in psi0.
    """
    psi0, g = 1e-4, 0.5
    psis, thetas = Game(AdversarialLoss.LSGAN, False, 0.1, Penalty.R1, g).run([psi0], [0.0], 600)
    assert thetas[-1].item() == pytest.approx(psi0 / g, rel=1e-6)
    assert psis[-1].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("alternating", [False, True])
def test_clipping_goes_round_the_data_for_ever(alternating):
    """Steps that are not clipped let psi^2 + theta^2 grow by 1 + h^2, or keep Q (see above).

    A clipped one ends at |psi| = c: at a radius of at least c, and a Q of at least
    min over theta of c^2 + theta^2 - h c theta = c^2 (1 - h^2 / 4). With Q <= (1 + h / 2) radius^2
    no radius is ever below sqrt of min(Q0, c^2 (1 - h^2 / 4)) / (1 + h / 2), and by simultaneous
    steps it is at least c once it has had the time to grow so far.

    Nor does it leave: theta is at most c + h c when it first exceeds c; then psi falls by more than
    h c each step, so that theta rises, by at most h c, in at most 1 / h + 1 more of them.
    """
    h, c, start = 0.1, 0.1, 0.02
    game = Game(AdversarialLoss.WASSERSTEIN, alternating, h, Penalty.CLIP, c)
    psis, thetas = game.run([start, 0.0, c], [0.0, start, c], 800)
    if alternating:
        q0 = psis[0] ** 2 + thetas[0] ** 2 - h * psis[0] * thetas[0]
        least = (q0.clamp(max=c**2 * (1 - h**2 / 4)) / (1 + h / 2)).sqrt()
        tail = slice(0, None)
    else:
        least = torch.full((3,), c, dtype=torch.float64)
        tail = slice(math.ceil(2 * math.log(c / start) / math.log(1 + h**2)), None)
    rounding = 1 - 1e-12
    assert (radii(psis, thetas)[tail] >= least * rounding).all()
    assert (psis.abs() <= c).all()
    assert (thetas.abs() <= 2 * c * (1 + h)).all()
    # It turns once in some 2 pi / h = 63 steps, or more slowly where psi is held at c.
    late = psis[-300:].sign()
    assert ((late == 1).any(0) & (late == -1).any(0)).all()


PULLED_TO_ONE = [
    (AdversarialLoss.WASSERSTEIN, Penalty.WGAN_GP),
    (AdversarialLoss.NONSATURATING, Penalty.DRAGAN),
]


@pytest.mark.parametrize(("loss", "penalty"), PULLED_TO_ONE)
@pytest.mark.parametrize(("alternating", "d_steps"), [(False, 1), (True, 1), (True, 5)])
@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_a_gradient_pulled_to_one_drives_d_out_of_the_equilibrium(
    loss, penalty, alternating, d_steps, weight
):
    """Weight w on (|psi| - 1)^2 adds 2 w (|psi| - 1) sign(psi) to D's gradient, so

        psi' = (1 - 2 w h) psi + 2 w h sign(psi) - h dD(b) theta,    0 <= dD <= 1.

    While 2 w h <= 1, from |theta| <= r and any psi but 0 there is |psi'| >= 2 w h - h r, after
    every further step on D too; which is more than r if r < 2 w h / (1 + h). So no two iterates in
    a row lie in a square smaller than that.

    And if psi changes its sign, h dD theta has outweighed the rest: |theta| > 2 w.
    """
    h = 0.05
    game = Game(loss, alternating, h, penalty, weight, d_steps)
    psis, thetas = game.run([1e-6, -1e-6, 0.5], [1e-6, 1e-6, 0.0], 200)
    size = torch.maximum(psis.abs(), thetas.abs())
    least = 2 * weight * h / (1 + h)
    assert (torch.maximum(size[1:], size[:-1]) >= least * (1 - 1e-12)).all()
    turns = psis[1:].sign() != psis[:-1].sign()
    assert (thetas[:-1][turns].abs() > 2 * weight).all()


@pytest.mark.parametrize("alternating", [False, True])
def test_wgan_gp_with_a_small_weight_swings_over_the_data_for_ever(alternating):
    """On either side of psi = 0 the game is linear about (0, +-2 w): with u = theta -+ 2 w,

        (psi, u)' = K (psi, u),    K = J at g = 2 w, p = q = 1.

    For w < 1 its factors are complex, so psi changes its sign again and again, and only
    where |theta| > 2 w (see above): theta swings at least so far on both sides.

    It stays bounded: psi' and theta' are K (psi, theta) + 2 w h sign(psi) e, where e is (1, 0), or
    (1, h) alternating, so |theta| is at most what is left of the start, which K shrinks, and
    2 w h times the sum of |(K^n e)_theta| over all n.
    """
    h, w = 0.1, 0.3
    game = Game(AdversarialLoss.WASSERSTEIN, alternating, h, Penalty.WGAN_GP, w)
    _, thetas = game.run([1e-3], [0.0], 800)
    late = thetas[400:]
    assert late.max() > 2 * w
    assert late.min() < -2 * w
    shrink = 1 - 2 * w * h
    last = [h * shrink, 1 - h**2] if alternating else [h, 1.0]
    K = torch.tensor([[shrink, -h], last], dtype=torch.float64)
    assert torch.linalg.eigvals(K).abs().max() < 1
    pushed = torch.tensor([1.0, h if alternating else 0.0], dtype=torch.float64)
    bound = 0.0
    for _ in range(800):
        bound += 2 * w * h * abs(pushed[1].item())
        pushed = K @ pushed
    assert late.abs().max() <= bound


@pytest.mark.parametrize("alternating", [False, True])
def test_wgan_gp_with_a_great_weight_rests_beside_the_data(alternating):
    """For w > 1 the factors of K are real and below 1 (see above): psi goes to 0, linearly and
    without changing its sign, and G stays at 2 w."""
    h, w = 0.05, 2.0
    game = Game(AdversarialLoss.WASSERSTEIN, alternating, h, Penalty.WGAN_GP, w)
    psis, thetas = game.run([1e-3, -1e-3], [0.0, 0.0], 1000)
    if alternating:
        slower, faster = roots(trace=2 - 2 * h * w - h**2, det=1 - 2 * h * w)
    else:
        slower, faster = roots(trace=2 - 2 * h * w, det=1 - 2 * h * w + h**2)
    assert faster < slower < 1
    # What is left of the faster one is (faster / slower)^1000 < 1e-80.
    assert (psis[-1] / psis[-2]).tolist() == pytest.approx([slower] * 2, abs=1e-8)
    assert psis[-1, 0] > 0 > psis[-1, 1]
    assert thetas[-1].tolist() == pytest.approx([2 * w, -2 * w], abs=10 * w * slower**1000)
