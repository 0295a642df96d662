"""What a GAN can be trained by: losses, penalties, normalisations, and which go together.

Free of torch; the mathematics is in `gan_core.losses` and `gan_core.penalties`.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "CONDITIONAL",
    "NO_PENALTY",
    "VARIANTS",
    "WEIGHT_OF",
    "AdversarialLoss",
    "LossVariant",
    "LrSchedule",
    "Normalisation",
    "Penalty",
    "applies",
]


class AdversarialLoss(StrEnum):
    """How D's logits are scored; see `gan_core.losses`."""

    MINIMAX = "minimax"
    NONSATURATING = "nonsaturating"
    LSGAN = "lsgan"
    HINGE = "hinge"
    WASSERSTEIN = "wasserstein"
    RELATIVISTIC = "relativistic"

    @property
    def has_labels(self) -> bool:
        """Whether D's loss is a cross-entropy, so that its real label can be smoothed."""
        return self in (AdversarialLoss.MINIMAX, AdversarialLoss.NONSATURATING)


class Penalty(StrEnum):
    """What else holds D back; see `gan_core.penalties`."""

    CLIP = "clip"
    WGAN_GP = "wgan-gp"
    DRAGAN = "dragan"
    R1 = "r1"
    R1R2 = "r1r2"

    @property
    def is_per_sample(self) -> bool:
        """Whether it is a gradient of D at single samples, which batch statistics would mix."""
        return self is not Penalty.CLIP


class LossVariant(StrEnum):
    """A named recipe: an adversarial loss and, for some, a penalty that belongs to it."""

    MINIMAX = "minimax"
    NONSATURATING = "nonsaturating"
    LSGAN = "lsgan"
    HINGE = "hinge"
    WASSERSTEIN = "wasserstein"
    RELATIVISTIC = "relativistic"
    WGAN = "wgan"
    WGAN_GP = "wgan-gp"
    DRAGAN = "dragan"
    R1 = "r1"
    R3GAN = "r3gan"

    @property
    def adversarial(self) -> AdversarialLoss:
        """The loss on logits."""
        return VARIANTS[self][0]

    @property
    def penalty(self) -> Penalty | None:
        """The penalty that belongs to the recipe; None leaves the choice free."""
        return VARIANTS[self][1]


VARIANTS: dict[LossVariant, tuple[AdversarialLoss, Penalty | None]] = {
    LossVariant.MINIMAX: (AdversarialLoss.MINIMAX, None),
    LossVariant.NONSATURATING: (AdversarialLoss.NONSATURATING, None),
    LossVariant.LSGAN: (AdversarialLoss.LSGAN, None),
    LossVariant.HINGE: (AdversarialLoss.HINGE, None),
    LossVariant.WASSERSTEIN: (AdversarialLoss.WASSERSTEIN, None),
    LossVariant.RELATIVISTIC: (AdversarialLoss.RELATIVISTIC, None),
    LossVariant.WGAN: (AdversarialLoss.WASSERSTEIN, Penalty.CLIP),
    LossVariant.WGAN_GP: (AdversarialLoss.WASSERSTEIN, Penalty.WGAN_GP),
    LossVariant.DRAGAN: (AdversarialLoss.NONSATURATING, Penalty.DRAGAN),
    LossVariant.R1: (AdversarialLoss.NONSATURATING, Penalty.R1),
    LossVariant.R3GAN: (AdversarialLoss.RELATIVISTIC, Penalty.R1R2),
}


class Normalisation(StrEnum):
    """What D's hidden layers are normalised by; see `gan_core.networks.norms`."""

    NONE = "none"
    BATCH = "batch"
    LAYER = "layer"
    SPECTRAL = "spectral"


class LrSchedule(StrEnum):
    """How both rates go from the first step to `CohortConfig.schedule_steps`."""

    CONSTANT = "constant"
    LINEAR = "linear"
    """To 0 in equal steps."""
    COSINE = "cosine"
    """To 0 along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5)."""


NO_PENALTY = "none"
"""How a config writes that a loss goes without a penalty."""

# Hyperparameters that only some recipes have, with the value they take there unless given.
# Clip 0.01: Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1. Weights 10: Gulrajani et al.
# 2017, arXiv:1704.00028, algorithm 1; Kodali et al. 2017, arXiv:1705.07215, sec. 4; Mescheder et
# al. 2018, arXiv:1801.04406, sec. 4.1.
CONDITIONAL: dict[str, float] = {
    "label_smoothing": 0.0,
    "clip_value": 0.01,
    "gp_weight": 10.0,
    "dragan_weight": 10.0,
    "r1_gamma": 10.0,
}
WEIGHT_OF = {
    "clip_value": (Penalty.CLIP,),
    "gp_weight": (Penalty.WGAN_GP,),
    "dragan_weight": (Penalty.DRAGAN,),
    "r1_gamma": (Penalty.R1, Penalty.R1R2),
}


def applies(hyperparameter: str, loss: LossVariant, penalty: Penalty | None = None) -> bool:
    """Whether a GAN has the hyperparameter at all.

    Args:
        hyperparameter: a field of `GanConfig`.
        loss: its loss.
        penalty: chosen apart from the loss, for losses that have none of their own.
    """
    if hyperparameter == "penalty":
        return loss.penalty is None
    if hyperparameter == "label_smoothing":
        return loss.adversarial.has_labels
    if hyperparameter in WEIGHT_OF:
        return (loss.penalty or penalty) in WEIGHT_OF[hyperparameter]
    return True
