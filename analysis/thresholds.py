"""Every number that the verdicts rest on, with its source.

"ganhacks" is Chintala et al., "How to train a GAN?" (github.com/soumith/ganhacks). "Ours" marks
what no publication settles. "Measured" is from what follows, on the handwritten digits (898
samples against the other half) and on MNIST (1,000), in the features of our classifiers: Frechet
distance, spread, spread within classes and coverage of samples made up from held-out images (4 to
40 draws of each), and of GANs.

                           digits                              MNIST
    untrained generators   394-451  .01-.09  .01-.13  0        658-698  .00-.04  .00-.06  0
    one image repeated     214-434  0        0        0-.01    550-1090 0        0        0-.01
    one class              90-242   .45-.75  .93-1.06 .09-.11  268-454  .43-.82  .98-1.02 .10-.17
    five classes           26-34    .93-1.02 .98-1.03 .48-.52  69-103   .91-1.01 .99-1.01 .50-.57
    nine classes           6-8      .98-1.00 .99-1.01 .82-.85  7-16     .98-1.02 1.0-1.02 .86-.90
    one image per class    58-81    .87-.98  0-.34    .05-.06  163-193  .90-.97  0        .03-.06
    20 images per class    4-6      .98-1.00 .96-1.01 .62-.66  9-14     .99-1.02 .95-.99  .59-.65
    classes shrunk to .9   2        .97      .92      .97      5        .94-.95  .90-.91  .97-.98
    classes shrunk to .5   12       .87      .55      .89      52-53    .75-.76  .54-.55  .73-.75
    real                   1.6-2.4  .99-1.00 1.0-1.02 .90-.97  1.9-2.5  1.0      .98-1.01 .97-.98
    GANs, the better half  4-10     .92-.98  .98-1.10 .60-.82  14-50    .82-.91  1.0-1.09 .46-.73

The GANs are 36 of digits and 18 of MNIST after 5,000 steps: MLPs with layers of 128 under six
losses, rates drawn between 1e-4 and 5e-3.
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
    """Multiple of the untrained generator's Frechet distance. Ours; measured: one image repeated
    reaches 1.6."""
    late_collapse_ratio: float = 3
    """Frechet distance over the best one before it. Issues of NVlabs' StyleGAN repositories:
    those that never recovered rose 5- to 38-fold, one that did 1.7-fold."""
    frechet_chance: float = 10
    """No Frechet distance counts as less than what real samples score, nor than this multiple of
    an untrained generator's over the number of samples N. Of N(0, I_d) the distance of N samples
    to the truth is about d (1 + (d + 1)/4)/N, but an eighth of its own size is luck at d = 64 and
    all of it at d = 2; an untrained generator that makes a point scores d. Measured: without it,
    of 60 runs of real samples of ring8, two were a late collapse and eight undetermined."""
    d_loss_share: float = 0.01
    """D's loss over its equilibrium value, both above what perfect separation costs ("D loss
    goes to 0: failure mode", ganhacks tip 10). The share is ours."""
    d_accuracy: float = 0.99
    """D's accuracy on real and on fake ..."""
    gradient_fall: float = 0.1
    """... that is saturation if G's gradient norm fell to this share of its early one. Ours."""
    g_loss_rise: float = 10
    """G's loss over its equilibrium value, where it grows as D rejects more surely: at 10 a D of
    cross-entropies gives samples a thousandth for real. Ours ..."""
    d_loss_strong: float = 0.1
    """... with D's loss at this share of its equilibrium value. Ours."""
    d_loss_low: float = 0.5
    """The same, of a D that is ahead of G. Ours. Measured on 36 GANs of digits: the six below had
    at most 8.2 modes of 10, of the others only four that were still far from real less than 8.7.
    """
    untrained_share: float = 0.8
    """Share of the untrained generator's Frechet distance that says G never left its start. One
    class of real images scores at most .7 of it, but one image repeated up to 1.6 ..."""
    like_real: float = 0.5
    """... which is told by precision over that of real images. An untrained generator's density
    has to be less than this share of its own. Measured: one image has a precision of 1 in 229 of
    240 draws, else 0, and a density of .2-3; untrained generators have 0 and 0, but 1 and .2 where
    one far-off real image reaches them all."""
    improving_ratio: float = 0.85
    """Frechet distance of the window over the best stretch of as many evaluations before it, below
    which what is wrong may yet come right, unless D is ahead (`d_loss_low`), modes were lost or are
    few and changing, or it is luck. Ours. Measured, held against the stretch just before the window
    instead of the best one, on 54 GANs, looked at 166 times with a fault, after 800 to 2,000 steps
    and again after 2.5 to 4 times as many: of the 62 that it excused 90% had more modes then, 5%
    fewer, and 45% no fault at all; of the other 104 it was 55%, 28% and 21%."""
    improving_gain: float = 2
    """What it has to have come down by, in multiples of what is luck (`frechet_chance`). Ours."""
    modes_kept: float = 0.8
    """Share of the most modes it had before the window that says it has lost none since. Ours;
    from one evaluation to the next the number varies by a tenth."""
    unfinished_share: float = 0.25
    """Share of it that no sound generator has. Ours. Measured: GANs with nine modes or more
    .01-.10, classes shrunk to nothing .09-.23."""
    quality: float = 0.5
    """Share of a mixture's points that are good, over that of real ones; one mode with less may
    be an untrained generator's. Ours. Sound GANs have .84-.93 of their points there and dip to
    .45; a published one has .53 (VEEGAN, Srivastava et al. 2017, arXiv:1705.07761, table 1). One
    that drew a smooth ring through all eight modes, with D's loss at equilibrium, had .01."""
    mode_points: float = 2
    """Good points per mode that it takes to count modes: so few from K equal modes have an
    effective number of about K exp(-1/4). Ours."""
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
    """Feature spread over that of real images. Measured: one image 0, one class .43-.82."""
    spread_partial: float = 0.9
    """The same, where nothing is known of classes. Ours. Where they are known total spread is
    mostly between them: measured, it hardly feels one image per class."""
    within_severe: float = 0.5
    """Spread within classes or modes over that of real samples. Measured: one image per class
    0-.34, two .61-.78."""
    within_partial: float = 0.9
    """The same. Measured: real images within .025 of 1, sound GANs above .97, classes shrunk to
    .8 at .81-.83."""
    coverage: float = 0.9
    """Coverage over that of real images, which is .969 (Naeem et al. 2020, arXiv:2002.09797,
    sec. 3.2, for k = 5) ..."""
    coverage_precision: float = 0.95
    """... where precision over theirs is at least this: what is unlike real images covers little
    of them too, and that is no collapse. Measured: nine and fewer classes of real images and few
    images of each class have .92 and more, mostly .97; sound GANs at most .94 and a coverage of
    .46-.82."""
    density_crowded: float = 1.5
    """Density, which is 1 for real images (Naeem et al. 2020, sec. 3.2). Measured: classes shrunk
    to .6 have 1.8-1.9 ..."""
    recall_crowded: float = 0.5
    """... and recall over that of real images below which the dense parts are all there is.
    Measured: they have .2-.4. Both are ours."""
    decline_warning: float = 1.5
    """As `late_collapse_ratio`, of a decline to remark on. Ours: it may pass."""
    copies: float = 0.5
    """Distance to the nearest training image over that of real images, of samples to remark on
    as copies. Ours. Measured: with pixel noise of .2 (of 2) .30-.54. No verdict rests on it: real
    images would be accused, and copies of all of them are no failure of training."""
