"""Adversarial losses: what D and G minimise, per sample, from D's logits.

Notation: a = D(real), b = D(fake), logits; sp(x) = log(1 + exp(x)).

| loss          | D minimises              | G minimises   | source              |
|---------------|--------------------------|---------------|---------------------|
| minimax       | sp(-a) + sp(b)           | -sp(b)        | [1], eq. 1          |
| nonsaturating | sp(-a) + sp(b)           | sp(-b)        | [1], sec. 3         |
| lsgan         | (a - 1)^2 / 2 + b^2 / 2  | (b - 1)^2 / 2 | [2], eq. 9          |
| hinge         | relu(1 - a) + relu(1 + b)| -b            | [3], eq. 16 and 17  |
| wasserstein   | -a + b                   | -b            | [4], algorithm 1    |
| relativistic  | sp(-(a - b))             | sp(-(b - a))  | [5], sec. 3.2       |

[1] Goodfellow et al. 2014, arXiv:1406.2661. [2] Mao et al. 2017, arXiv:1611.04076.
[3] Miyato et al. 2018, arXiv:1802.05957. [4] Arjovsky et al. 2017, arXiv:1701.07875.
[5] Jolicoeur-Martineau 2018, arXiv:1807.00734 (RpGAN: sample i of one is paired with sample i of
the other).

One-sided label smoothing (Salimans 2016, arXiv:1606.03498, sec. 3.4) moves D's target for real
images, and nothing else, from 1 to t = 1 - smoothing: t sp(-a) + (1 - t) sp(a) in place of sp(-a).
NaN in the logits stays NaN in the losses; inf gives the limit or NaN, and the limit may be finite.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu, softplus

from gan_core.config import AdversarialLoss

__all__ = ["d_loss", "g_loss", "needs_real", "real_threshold"]


def d_loss(
    loss: AdversarialLoss, *, real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0
) -> Tensor:
    """What D minimises, per pair of samples.

    Args:
        loss: which one.
        real: logits on real samples, any shape.
        fake: logits on generated samples, the same shape.
        smoothing: one-sided label smoothing in [0, 1), broadcastable; only the losses with
            labels (minimax, nonsaturating) read it.

    Returns:
        The shape of the logits.
    """
    match loss:
        case AdversarialLoss.MINIMAX | AdversarialLoss.NONSATURATING:
            # t sp(-a) + (1 - t) sp(a), because sp(a) = sp(-a) + a.
            return softplus(-real) + smoothing * real + softplus(fake)
        case AdversarialLoss.LSGAN:
            return ((real - 1).square() + fake.square()) / 2
        case AdversarialLoss.HINGE:
            return relu(1 - real) + relu(1 + fake)
        case AdversarialLoss.WASSERSTEIN:
            return fake - real
        case AdversarialLoss.RELATIVISTIC:
            return softplus(fake - real)


def needs_real(loss: AdversarialLoss) -> bool:
    """Whether G's loss reads D's logits on real samples."""
    return loss is AdversarialLoss.RELATIVISTIC


def g_loss(loss: AdversarialLoss, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """What G minimises, per generated sample.

    Args:
        loss: which one.
        fake: logits on generated samples, any shape.
        real: logits on real samples, the same shape; only losses that `needs_real` read it.

    Raises:
        ValueError: the loss needs `real`, and there is none.

    Returns:
        The shape of the logits.
    """
    match loss:
        case AdversarialLoss.MINIMAX:
            return -softplus(fake)
        case AdversarialLoss.NONSATURATING:
            return softplus(-fake)
        case AdversarialLoss.LSGAN:
            return (fake - 1).square() / 2
        case AdversarialLoss.HINGE | AdversarialLoss.WASSERSTEIN:
            return -fake
        case AdversarialLoss.RELATIVISTIC:
            if real is None:
                raise ValueError("the relativistic loss of G needs the logits on real samples")
            return softplus(real - fake)


def real_threshold(loss: AdversarialLoss) -> float | None:
    """The logit above which D calls a sample real; None for a critic, which has none.

    A relativistic D judges pairs, and its logits have no zero either.
    """
    match loss:
        case AdversarialLoss.LSGAN:
            return 0.5
        case AdversarialLoss.WASSERSTEIN | AdversarialLoss.RELATIVISTIC:
            return None
        case _:
            return 0.0
