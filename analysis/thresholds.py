"""Every number that the verdicts rest on, with its source.

"ganhacks" is Chintala et al., "How to train a GAN?" (github.com/soumith/ganhacks). "Ours" marks
what no publication settles. "Measured" is from the handwritten digits; where samples were made
up, by their Frechet distance and feature spread in the 64 features of a small classifier against
the other half of the data (two classifiers agreed):

    untrained generators   310-324   .05-.06      one image per class     30-35   .88-.90
    one image repeated     179-194   .001         classes 0 to 4          18-21   1.04-1.05
    one class of real       61-161   .38-.62      real                   .62-.64  1.00
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Thresholds"]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Every number that the rules use."""

    window_share: float = 0.2
    """Judged is the last share of the steps: sound runs dip (a ring-8 GAN with R1 fell from .90
    to .45 high-quality samples and came back within 4,500 of 10,000 steps). Ours."""
    window_steps: int = 200
    """Steps with statistics that a window must have; half of a run is the most it may be. Ours."""
    window_evaluations: int = 3
    """Evaluations that a window must have, that a decline must persist for, and that make an
    episode. Ours: Frechet distances that rose 1.7-fold for one evaluation came back
    (NVlabs/stylegan2-ada issue 68)."""
    gradient_above_100_share: float = 0.01
    """Share of steps with a gradient norm above 100 ("if they are over 100 things are screwing
    up", ganhacks tip 10) ..."""
    gradient_rise: float = 100
    """... that makes an explosion, if the norm also rose so much above the run's median. Ours."""
    frechet_blown_up: float = 5
    """Multiple of the untrained generator's Frechet distance. Ours."""
    late_collapse_ratio: float = 3
    """Frechet distance over the best one before it. Issues of NVlabs' StyleGAN repositories:
    those that never recovered rose 5- to 38-fold, one that did 1.7-fold."""
    d_loss_share: float = 0.01
    """D's loss over its equilibrium value, both above what perfect separation costs ("D loss
    goes to 0: failure mode", ganhacks tip 10). The share is ours."""
    d_accuracy: float = 0.99
    """D's accuracy on real and on fake ..."""
    gradient_fall: float = 0.1
    """... that is saturation if G's gradient norm fell to this share of its early one. Ours."""
    untrained_share: float = 0.8
    """Share of the untrained generator's Frechet distance that says G never left its start.
    Measured: even one image repeated scores at most .63 of it."""
    improving_ratio: float = 0.85
    """Frechet distance of the window over that of as many evaluations before it, below which
    what is wrong may yet come right. Measured on eleven runs with a fault at their end: seven
    .54-.74, four .92-1.51."""
    modes_kept: float = 0.8
    """Share of the most modes it had before the window that says it has lost none since. Ours;
    from one evaluation to the next the number varies by a tenth."""
    unfinished_share: float = 0.25
    """Share of it that no sound generator has. Measured: one image per class scores .11."""
    mode_change: float = 0.25
    """Median total variation between successive mode histograms, sampling noise taken off: a
    quarter of the samples has moved to other modes. Ours; a generator that "rotates around the
    modes" (Metz et al. 2017, arXiv:1611.02163, sec. 3.1) has 1."""
    oscillation_evaluations: int = 10
    """Evaluations that it takes to say so. Ours."""
    modes_severe: float = 0.5
    """Effective number of modes, exp(entropy), over that of real images. Ours."""
    modes_partial: float = 0.9
    """The same. Ours; real samples of 1,000 images in 10 classes keep above .99."""
    class_share: float = 0.2
    """Share of the class most left out, over its share among real images. Ours."""
    class_images: float = 20
    """Samples that a class must be expected to have for that; see
    `analysis.collapse.class_share_of_real`."""
    spread_severe: float = 0.5
    """Feature spread over that of real images. Measured: one image .001, one class .38-.62."""
    spread_partial: float = 0.9
    """The same. Measured: one image per class .88-.90, real images within .005 of 1. Total
    spread is mostly between classes, so less than that does not show here."""
