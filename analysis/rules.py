"""What each verdict rests on: thresholds with their sources, and the rules as data.

Abbreviated sources: ganhacks is Chintala et al., "How to train a GAN?" (github.com/soumith/
ganhacks). "Ours" marks what no publication settles. "Measured" numbers are from the handwritten
digits, held-out half, in the 64 features of a small classifier (two classifiers agreed): Frechet
distance to the other half and feature spread, of

    untrained generators   310-324   .05-.06      one image per class     30-35   .88-.90
    one image repeated     179-194   .001         classes 0 to 4          18-21   1.04-1.05
    one class of real       61-161   .38-.62      real                   .62-.64  1.00
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analysis.schema import GRADIENT_SIGNALS

__all__ = ["Condition", "Rule", "Span", "Thresholds", "Verdict", "rules"]


class Verdict(StrEnum):
    """What analysis says of a member."""

    HEALTHY = "healthy"
    """Every essential rule was judged and none holds."""
    PARTIAL_COLLAPSE = "partial_collapse"
    """Some modes are missing, thin or narrow."""
    MODE_COLLAPSE = "mode_collapse"
    """Less than half of the modes."""
    OSCILLATING = "oscillating"
    """The modes it makes change from one evaluation to the next."""
    D_SATURATED = "d_saturated"
    """D tells all real from all fake, and G has nothing to learn from."""
    LATE_COLLAPSE = "late_collapse"
    """It was much better once."""
    DIVERGED = "diverged"
    """A loss, gradient or sample was not finite, or gradients or samples exploded."""
    UNDERTRAINED = "undertrained"
    """It shows no fault, but is not far from an untrained generator or was ended early."""
    UNDETERMINED = "undetermined"
    """Too little was recorded to say."""


class Span(StrEnum):
    """The stretch of training that a rule looks at."""

    RUN = "run"
    """All of it."""
    WINDOW = "window"
    """The last `window_share` of the steps; see `analysis.window.final_window`."""
    RECENT = "recent"
    """The last `window_evaluations` evaluations."""
    CHANGES = "changes"
    """The last `oscillation_evaluations` evaluations, or the window where that has more."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Every number that the rules use."""

    window_share: float = 0.2
    """Judged is the last share of the steps: sound runs dip (a ring-8 GAN with R1 fell from .90
    to .45 high-quality samples and came back within 2,500 of 10,000 steps). Ours."""
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


@dataclass(frozen=True)
class Condition:
    """`metric` compared with `threshold`, or with that multiple of `control`."""

    metric: str
    """A column of `analysis.evidence.gather`."""
    comparison: str
    """One of < <= > >=."""
    threshold: float
    control: str | None = None
    """The column that `metric` is held against."""


@dataclass(frozen=True)
class Rule:
    """A verdict and the conditions that must all hold for it."""

    name: str
    verdict: Verdict
    conditions: tuple[Condition, ...]
    """The first one is shown as the evidence."""
    span: Span
    source: str
    """The thresholds it uses; their docstrings give the sources."""
    rung_metric: str | None = None
    """The first condition's metric at single rungs, from which onset and recovery are read."""
    essential: bool = False
    """Whether a member is not healthy, but undetermined, where this could not be judged."""
    episodic: bool = False
    """Whether a healthy member that recovered from this is said to have."""


def rules(thresholds: Thresholds) -> tuple[Rule, ...]:
    """All rules in order of precedence: the first that holds gives the verdict.

    After divergence no number means anything, and of what was hardly recorded nothing can be
    said. Then what was lost (late collapse) goes before what is, and causes (D saturated) before
    effects. A generator that never left its start has few modes too, so `untrained` goes before
    collapse; one that rotates around the modes has few at any moment, so oscillating does as
    well. Severe goes before partial. Last come members that show no fault, but were not trained
    to the end.
    """
    return (
        *_recorded(thresholds),
        *_exploded(thresholds),
        _late_collapse(thresholds),
        *_saturated(thresholds),
        _untrained(thresholds),
        _oscillating(thresholds),
        *_collapsed(thresholds),
        *_unfinished(thresholds),
    )


def _recorded(t: Thresholds) -> tuple[Rule, ...]:
    few, undetermined = 2 * t.window_evaluations, Verdict.UNDETERMINED
    return (
        Rule(
            "not_finite",
            Verdict.DIVERGED,
            (Condition("diverged_step", ">=", 0),),
            Span.RUN,
            "status",
        ),
        Rule("failed", undetermined, (Condition("failed", ">=", 1),), Span.RUN, "status"),
        Rule(
            "few_evaluations",
            undetermined,
            (Condition("evaluations", "<", few),),
            Span.RUN,
            "window_evaluations",
        ),
        Rule(
            "few_steps",
            undetermined,
            (Condition("recorded_steps", "<", 2 * t.window_steps),),
            Span.RUN,
            "window_steps",
        ),
        Rule(
            "history_ends_early",
            undetermined,
            (Condition("recorded_steps", "<", 1 - t.window_share, "steps"),),
            Span.RUN,
            "window_share",
        ),
    )


def _exploded(t: Thresholds) -> tuple[Rule, ...]:
    gradients = (
        Rule(
            f"{signal}_exploded",
            Verdict.DIVERGED,
            (
                Condition(f"{signal}_max", ">", t.gradient_rise, f"{signal}_run"),
                Condition(f"{signal}_above_100_share", ">=", t.gradient_above_100_share),
            ),
            Span.WINDOW,
            "gradient_above_100_share, gradient_rise",
        )
        for signal in GRADIENT_SIGNALS
    )
    samples = Rule(
        "samples_exploded",
        Verdict.DIVERGED,
        (Condition("frechet_distance", ">", t.frechet_blown_up, "untrained_frechet_distance"),),
        Span.WINDOW,
        "frechet_blown_up",
        rung_metric="frechet_distance",
    )
    return (*gradients, samples)


def _late_collapse(t: Thresholds) -> Rule:
    return Rule(
        "late_collapse",
        Verdict.LATE_COLLAPSE,
        (Condition("frechet_recent_least", ">=", t.late_collapse_ratio, "frechet_best"),),
        Span.RECENT,
        "late_collapse_ratio, window_evaluations",
        rung_metric="frechet_distance",
        essential=True,
        episodic=True,
    )


def _saturated(t: Thresholds) -> tuple[Rule, ...]:
    return (
        Rule(
            "d_loss_gone",
            Verdict.D_SATURATED,
            (Condition("d_loss_excess", "<", t.d_loss_share, "d_loss_equilibrium_excess"),),
            Span.WINDOW,
            "d_loss_share",
            rung_metric="d_loss_excess",
        ),
        Rule(
            "d_always_right",
            Verdict.D_SATURATED,
            (
                Condition("d_accuracy", ">", t.d_accuracy),
                Condition("grad_norm_g", "<", t.gradient_fall, "grad_norm_g_early"),
            ),
            Span.WINDOW,
            "d_accuracy, gradient_fall",
            rung_metric="d_accuracy",
        ),
    )


def _untrained(t: Thresholds) -> Rule:
    control = "untrained_frechet_distance"
    return Rule(
        "untrained",
        Verdict.UNDERTRAINED,
        (
            Condition("frechet_distance", ">", t.untrained_share, control),
            Condition("frechet_best", ">", t.untrained_share, control),
        ),
        Span.WINDOW,
        "untrained_share",
        rung_metric="frechet_distance",
    )


def _oscillating(t: Thresholds) -> Rule:
    return Rule(
        "oscillating",
        Verdict.OSCILLATING,
        (Condition("mode_change", ">", t.mode_change),),
        Span.CHANGES,
        "mode_change, oscillation_evaluations",
    )


def _collapsed(t: Thresholds) -> tuple[Rule, ...]:
    def relative(name: str, verdict: Verdict, metric: str, threshold: str) -> Rule:
        condition = Condition(metric, "<", getattr(t, threshold), f"real_{metric}")
        return Rule(
            name,
            verdict,
            (condition,),
            Span.WINDOW,
            threshold,
            rung_metric=metric,
            essential=metric == "mode_entropy",
            episodic=verdict is Verdict.MODE_COLLAPSE,
        )

    severe, partial = Verdict.MODE_COLLAPSE, Verdict.PARTIAL_COLLAPSE
    return (
        relative("few_modes", severe, "mode_entropy", "modes_severe"),
        relative("narrow", severe, "feature_spread", "spread_severe"),
        relative("fewer_modes", partial, "mode_entropy", "modes_partial"),
        Rule(
            "missing_class",
            partial,
            (Condition("class_share_of_real", "<", t.class_share),),
            Span.WINDOW,
            "class_share, class_images",
            rung_metric="class_share_of_real",
        ),
        relative("narrower", partial, "feature_spread", "spread_partial"),
    )


def _unfinished(t: Thresholds) -> tuple[Rule, ...]:
    return (
        Rule(
            "decline_unconfirmed",
            Verdict.UNDETERMINED,
            (Condition("frechet_last", ">=", t.late_collapse_ratio, "frechet_best"),),
            Span.RECENT,
            "late_collapse_ratio, window_evaluations",
            rung_metric="frechet_distance",
        ),
        Rule(
            "unfinished",
            Verdict.UNDERTRAINED,
            (Condition("frechet_distance", ">", t.unfinished_share, "untrained_frechet_distance"),),
            Span.WINDOW,
            "unfinished_share",
            essential=True,
        ),
        Rule(
            "pruned",
            Verdict.UNDERTRAINED,
            (Condition("pruned_steps", "<=", 1, "full_steps"),),
            Span.RUN,
            "status",
        ),
    )
