"""Evidence on mode collapse: how many modes the samples have, how evenly, how wide.

`rungs`, members and the NaN policy are those of `analysis.window`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.window import MEMBER, finite, median

__all__ = ["class_share_of_real", "diversity", "histograms", "modes_reached"]


def histograms(rungs: pd.DataFrame) -> np.ndarray:
    """The mode histograms as one array: [rows, modes], NaN rows where they are null."""
    lists = rungs["mode_histogram"].to_numpy()
    known = rungs["mode_histogram"].notna().to_numpy()
    if not known.any():
        return np.full((len(rungs), 0), np.nan)
    # Not np.stack: it takes four times as long on millions of short lists.
    values = np.concatenate(lists[known].tolist()).reshape(known.sum(), -1)
    if known.all():
        return values
    shares = np.full((len(rungs), values.shape[1]), np.nan)
    shares[known] = values
    return shares


def class_share_of_real(
    shares: np.ndarray, images: np.ndarray, real: np.ndarray, *, expected_images: float
) -> np.ndarray:
    """The share of the class most left out, over its share among real images.

    min over classes c of shares_c / real_c, among the classes of which `images` samples would
    hold at least `expected_images`. Samples with the class at its right share have less than a
    fifth of it by chance with probability 3e-6 where 20 images are expected (Poisson), but 7e-3
    where 5 are.

    Args:
        shares: [rows, classes].
        images: [rows], samples behind each row.
        real: [classes].
        expected_images: as above.

    Returns:
        [rows], >= 0; NaN where the shares are, and where no class is common enough.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = shares / real
    common = images[:, None] * real >= expected_images
    least = np.min(np.where(common, ratios, np.inf), axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, np.nan)


def diversity(
    rungs: pd.DataFrame, inside: pd.Series, *, real: np.ndarray, expected_images: float
) -> pd.DataFrame:
    """Modes and width of a member's samples in the window.

    The histograms of the window are pooled, weighted by their samples, so that a rare class
    is counted over all of them.

    Args:
        rungs: the history.
        inside: the window.
        real: [classes], shares among real images; empty where they are not known.
        expected_images: see `class_share_of_real`.

    Returns:
        Per member medians of `mode_entropy`, `feature_spread`, `within_class_spread` and
        `hq_share`; `class_share_of_real`.
    """
    names = ["mode_entropy", "feature_spread", "within_class_spread", "hq_share"]
    evidence = median(rungs, inside, names)
    shares, images = _pooled(rungs[inside])
    if shares.shape[1] != len(real) or not len(real):
        return evidence.assign(class_share_of_real=np.nan)
    least = class_share_of_real(
        shares.to_numpy(), images.to_numpy(), real, expected_images=expected_images
    )
    return evidence.assign(class_share_of_real=pd.Series(least, index=shares.index))


def modes_reached(rungs: pd.DataFrame, inside: pd.Series) -> pd.DataFrame:
    """The most modes that a member had at any rung before the window.

    Returns:
        Per member `modes_reached`, effective number; NaN where none was measured.
    """
    counted = ~inside & (rungs["rung"] > 0)
    modes = finite(rungs[["mode_entropy"]])["mode_entropy"].where(counted)
    return modes.groupby([rungs[key] for key in MEMBER]).max().to_frame("modes_reached")


def _pooled(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Per member the shares [members, classes] over all rows, and the samples behind them."""
    shares = histograms(rows)
    images = rows["eval_images"].to_numpy(dtype="float64", na_value=np.nan)
    counts = pd.DataFrame(shares * images[:, None], index=rows.index)
    known = counts.notna().all(axis=1)
    keys = [rows.loc[known, key] for key in MEMBER]
    total = pd.Series(images, index=rows.index)[known].groupby(keys).sum()
    return counts[known].groupby(keys).sum().div(total, axis=0), total
