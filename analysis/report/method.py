"""What the words and numbers of the report mean."""

from __future__ import annotations

import math

from analysis.plots.scales import short_number
from analysis.report.findings import ENOUGH
from analysis.report.tables import Tables
from analysis.thresholds import Thresholds

__all__ = ["method"]


def method(tables: Tables) -> list[tuple[str, str]]:
    """Terms and what they mean, with the numbers of this sweep where it has some."""
    t = Thresholds()
    return [
        (
            "Trial, member, seed",
            "A trial is one choice of hyperparameters, trained from several seeds. Each of these "
            "GANs is a member.",
        ),
        (
            "Verdict",
            f"Given to every member by rules over the last {t.window_share:.0%} of its training, "
            "each with its numbers, limit and source; analysis/thresholds.py has them all. "
            "Undertrained and undetermined count neither as failed nor as sound.",
        ),
        (
            "Failure rate",
            "Failed members of those that could be judged, with Wilson's 95% interval. The seeds "
            "of a trial are not independent, so over few trials it is too narrow. Of fewer than "
            f"{ENOUGH} judged members nothing is concluded.",
        ),
        (
            "Interquartile mean",
            "Mean of the middle half, so that a single seed does not decide it; intervals are "
            "bootstrapped within trials (Agarwal et al. 2021, arXiv:2108.13264). A diverged "
            "member counts as an untrained generator and is never left out.",
        ),
        (
            "Budget curve",
            "The expected best of so many of the trials, drawn without order: what a sweep of "
            "that size would have found.",
        ),
        ("Real data", _control(tables)),
        (
            "Importance",
            "From the trials of this sweep: a sampler that looked where it is good has seen little "
            "of the rest, so a hyperparameter that it fixed early may look unimportant.",
        ),
        (
            "Stable range",
            "The widest unbroken range of a learning rate in which at most 20% of the judged "
            "members failed, from a tried value to a tried value. Of what lies between two of them "
            "nothing is known: the map of failures shows how densely it was tried.",
        ),
    ]


def _control(tables: Tables) -> str:
    real = tables.control("real", "frechet_distance")
    text = (
        "Samples are held against a half of the data; the other half, by the same protocol, says "
        "what perfect samples score"
    )
    score = f": a Fréchet distance of {short_number(real)}" if math.isfinite(real) else ""
    return (
        f"{text}{score}. The distance is in the features of a small classifier, so it compares "
        "GANs on this dataset, and is not the FID of the literature."
    )
