"""Evidence on stability: gradients, D's saturation, decline of the samples, oscillation.

`rungs`, members and the NaN policy are those of `analysis.window`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.collapse import histograms
from analysis.schema import GRADIENT_SIGNALS
from analysis.window import MEMBER, finite, last_evaluations, median

__all__ = [
    "decline",
    "discriminator",
    "gradients",
    "loss_anchors",
    "mode_changes",
    "oscillation",
    "saturation",
]

# D's and G's loss where D cannot tell real from fake, for adversarial losses whose D's loss has
# a scale: cross-entropies are smoothed below; LSGAN with D = 1/2 on both (Mao et al. 2017,
# arXiv:1611.04076, eq. 9); hinge with logits 0 (Miyato et al. 2018, arXiv:1802.05957, eq. 16);
# a relativistic D with logits 0 (Jolicoeur-Martineau 2018, arXiv:1807.00734). A Wasserstein
# critic's has none.
_EQUILIBRIUM = {
    "lsgan": 0.25,
    "hinge": 2.0,
    "relativistic": np.log(2),
    "r3gan": np.log(2),
}
_CROSS_ENTROPY = ("minimax", "nonsaturating", "dragan", "r1")
# G's loss grows without bound as D rejects its samples under these alone: a minimax G's loss
# ends at 0, an LSGAN's at 1/2, and a hinge D stops pushing at logits of -1.
_UNBOUNDED_G = ("nonsaturating", "dragan", "r1", "relativistic", "r3gan")


def loss_anchors(trials: pd.DataFrame) -> pd.DataFrame:
    """What the losses are at equilibrium and D's where it separates perfectly.

    Cross-entropy with real target t = 1 - s: at equilibrium D = t/2 everywhere, which costs
    2 H(t/2) for the binary entropy H in nats (2 ln 2 at s = 0; Goodfellow et al. 2014,
    arXiv:1406.2661, theorem 1); a D that separates perfectly still pays H(t), the entropy of its
    target (Salimans et al. 2016, arXiv:1606.03498, sec. 3.4). So under smoothing a saturated D's
    loss does not go to 0. The nonsaturating G then pays -ln(t/2).

    Args:
        trials: `loss` and `label_smoothing` (null counts as 0).

    Returns:
        On its index `d_loss_equilibrium`, `d_loss_floor`, NaN for losses without a scale;
        `g_loss_equilibrium`, NaN for losses that do not grow as D rejects G's samples.
    """
    target = 1 - trials["label_smoothing"].astype("float64").fillna(0)
    smoothed = trials["loss"].isin(_CROSS_ENTROPY)
    equilibrium = trials["loss"].map(_EQUILIBRIUM).astype("float64")
    floor = pd.Series(0.0, index=trials.index).where(equilibrium.notna())
    g_loss = equilibrium.mask(smoothed, pd.Series(np.log(2 / target), index=trials.index))
    return pd.DataFrame(
        {
            "d_loss_equilibrium": equilibrium.mask(smoothed, 2 * _binary_entropy(target / 2)),
            "d_loss_floor": floor.mask(smoothed, _binary_entropy(target)),
            "g_loss_equilibrium": g_loss.where(trials["loss"].isin(_UNBOUNDED_G)),
        }
    )


def _binary_entropy(p: pd.Series) -> pd.Series:
    q = 1 - p
    # 0 ln 0 is 0
    return -(p * np.log(p.where(p > 0, 1)) + q * np.log(q.where(q > 0, 1)))


def discriminator(rungs: pd.DataFrame) -> pd.DataFrame:
    """At each rung, how far D is from perfect separation.

    Args:
        rungs: also with the columns of `loss_anchors`.

    Returns:
        On its index: `d_loss_excess`, the interval's mean loss above its floor; `d_accuracy`,
        the lower of the mean accuracies on real and on fake, in [0, 1].
    """
    accuracies = rungs[["real_accuracy_mean", "fake_accuracy_mean"]]
    return pd.DataFrame(
        {
            "d_loss_excess": rungs["d_loss_mean"] - rungs["d_loss_floor"],
            "d_accuracy": accuracies.min(axis=1, skipna=False),
        }
    )


def saturation(rungs: pd.DataFrame, inside: pd.Series, *, early_share: float) -> pd.DataFrame:
    """D's separation in the window, G's loss, and its gradient there against its early one.

    Args:
        rungs: also with the columns of `discriminator`.
        inside: the window.
        early_share: the early part of training, as a share of the steps made.

    Returns:
        Per member `d_loss_excess`, `d_accuracy`, `g_loss`, `grad_norm_g` (window medians of the
        rungs' means) and `grad_norm_g_early`.
    """
    end = rungs.groupby(MEMBER)["step"].transform("max")
    early = (rungs["rung"] == 1) | ((rungs["rung"] > 1) & (rungs["step"] <= early_share * end))
    names = ["d_loss_excess", "d_accuracy", "g_loss_mean", "grad_norm_g_mean"]
    late = median(rungs, inside, names).rename(columns=lambda name: name.removesuffix("_mean"))
    before = median(rungs, early, ["grad_norm_g_mean"])
    return late.assign(grad_norm_g_early=before["grad_norm_g_mean"])


def gradients(rungs: pd.DataFrame, inside: pd.Series) -> pd.DataFrame:
    """Gradient norms in the window against the whole run's.

    Returns:
        Per member and signal `<signal>_above_100_share` (mean over the window), `<signal>_max`
        (over the window) and `<signal>_run` (median of all rungs' means).
    """
    shares = [f"{signal}_above_100_share" for signal in GRADIENT_SIGNALS]
    greatest = [f"{signal}_max" for signal in GRADIENT_SIGNALS]
    run = median(rungs, rungs["rung"] > 0, [f"{signal}_mean" for signal in GRADIENT_SIGNALS])
    rows = rungs[inside].groupby(MEMBER)
    return pd.concat(
        [
            rows[shares].mean(),
            rows[greatest].max(),
            run.rename(columns=lambda name: name.replace("_mean", "_run")),
        ],
        axis=1,
    )


def decline(
    rungs: pd.DataFrame, inside: pd.Series, *, floor: float, evaluations: int
) -> pd.DataFrame:
    """The Frechet distance of the window and of the last evaluations against earlier ones.

    Args:
        rungs: the history.
        inside: the window.
        floor: no generator's best counts as better, below it is luck; NaN where it is not known.
        evaluations: how many of the last evaluations must all be bad.

    Returns:
        Per member `frechet_distance` (window median), `frechet_before` (least median of as many
        successive evaluations before the window), `frechet_best`, `frechet_recent_least` (least
        of the last evaluations; NaN unless all are finite) and `frechet_last`.
    """
    scores = finite(rungs[["frechet_distance"]])["frechet_distance"].where(rungs["rung"] > 0)
    keys = [rungs[key] for key in MEMBER]
    recent = scores.where(last_evaluations(rungs, evaluations)).groupby(keys)
    last = scores.where(last_evaluations(rungs, 1)).groupby(keys)
    best = scores.groupby(keys).min()
    return pd.DataFrame(
        {
            "frechet_distance": median(rungs, inside, ["frechet_distance"])["frechet_distance"],
            "frechet_before": _least_before(rungs, inside),
            "frechet_best": best.mask(best < floor, floor),
            "frechet_recent_least": recent.min().where(recent.count() == evaluations),
            "frechet_last": last.max(),
        }
    )


def _least_before(rungs: pd.DataFrame, inside: pd.Series) -> pd.Series:
    """Least median of any stretch before the window that is as long as it, per member.

    What goes up and down is now better than just before, now worse, but not than ever before.
    """
    size = inside.groupby([rungs[key] for key in MEMBER]).transform("sum")
    before = (rungs["rung"] > 0) & ~inside
    least = [_least_median(rungs[before & (size == n)], n) for n in size[before].unique()]
    nothing = median(rungs, before, ["frechet_distance"])["frechet_distance"]
    return pd.concat(least) if least else nothing


def _least_median(rungs: pd.DataFrame, evaluations: int) -> pd.Series:
    by_member = finite(rungs[[*MEMBER, "frechet_distance"]]).groupby(MEMBER)
    medians = (
        by_member["frechet_distance"]
        .rolling(evaluations, min_periods=(evaluations + 1) // 2)
        .median()
        .droplevel(-1)
    )
    # The first stretches are not that long yet.
    place, known = by_member.cumcount(), by_member["frechet_distance"].transform("size")
    whole = place + 1 >= known.clip(upper=evaluations)
    return medians[whole.to_numpy()].groupby(level=MEMBER).min()


def mode_changes(rungs: pd.DataFrame) -> pd.DataFrame:
    """Total variation between each rung's mode histogram and the one before it.

    Two draws of n_1 and n_2 samples from the same shares p differ too: by a total variation of
    about sum_c sqrt(2/pi p_c (1 - p_c) (1/n_1 + 1/n_2)) / 2, the mean absolute value of a
    difference that is near normal. It is taken off in quadrature, sqrt(max(0, tv^2 - noise^2)),
    which is right at both ends: 0 when nothing changed, tv when the change is much above noise.

    Returns:
        On the index of `rungs`: `mode_change`, `mode_change_noise`, both in [0, 1]; NaN at rungs
        0 and 1 and where a histogram is null.
    """
    shares = histograms(rungs)
    images = rungs["eval_images"].to_numpy(dtype="float64", na_value=np.nan)
    change, noise = np.full((2, len(rungs)), np.nan)
    if len(rungs) > 1 and shares.shape[1]:
        before, after = shares[:-1], shares[1:]
        p = (before + after) / 2
        variance = p * (1 - p) * (1 / images[:-1] + 1 / images[1:])[:, None]
        noise[1:] = np.sqrt(2 / np.pi * variance).sum(axis=1) / 2
        change[1:] = np.abs(after - before).sum(axis=1) / 2
    corrected = np.sqrt(np.maximum(change**2 - noise**2, 0))
    result = pd.DataFrame({"mode_change": corrected, "mode_change_noise": noise}, index=rungs.index)
    return result.where(rungs["rung"] > 1)


def oscillation(rungs: pd.DataFrame, inside: pd.Series, *, evaluations: int) -> pd.DataFrame:
    """How much the mode histogram changes from one evaluation to the next.

    Args:
        rungs: also with the columns of `mode_changes`.
        inside: the changes to look at.
        evaluations: with fewer evaluations than this the median is NaN.

    Returns:
        Per member `mode_change` and `mode_change_noise` (medians), `mode_change_mean`.
    """
    names = ["mode_change", "mode_change_noise"]
    rows = rungs[inside].groupby(MEMBER)
    # n evaluations make n - 1 changes
    enough = rows["mode_change"].count() >= evaluations - 1
    mean = rows["mode_change"].mean().rename("mode_change_mean")
    return median(rungs, inside, names).join(mean).where(enough)
