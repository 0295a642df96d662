"""The rules that give each verdict, as data. Their numbers: `analysis.thresholds`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analysis.schema import GRADIENT_SIGNALS
from analysis.thresholds import Thresholds

__all__ = ["Condition", "Rule", "Span", "Verdict", "rules"]


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
    instead_of: tuple[str, ...] = ()
    """Names of rules of which one must hold too: it explains them."""
    episodic: bool = False
    """Whether a healthy member that recovered from this is said to have."""


def rules(thresholds: Thresholds) -> tuple[Rule, ...]:
    """All rules in order of precedence: the first that holds gives the verdict.

    After divergence no number means anything, and of what was hardly recorded nothing can be
    said. Then what was lost (late collapse) goes before what is, and causes (D saturated) before
    effects. A generator that never left its start has few modes too, and one still on its way
    has not found them all, so `untrained` and `improving` go before collapse; one that rotates
    around the modes has few at any moment, so oscillating does as well. Severe goes before
    partial. Last come members that show no fault, but were not trained to the end.
    """
    return (
        *_recorded(thresholds),
        *_exploded(thresholds),
        _late_collapse(thresholds),
        *_saturated(thresholds),
        _untrained(thresholds),
        _improving(thresholds),
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


def _improving(t: Thresholds) -> Rule:
    return Rule(
        "improving",
        Verdict.UNDERTRAINED,
        (
            Condition("frechet_distance", "<", t.improving_ratio, "frechet_before"),
            Condition("mode_entropy", ">=", t.modes_kept, "modes_reached"),
        ),
        Span.WINDOW,
        "improving_ratio, modes_kept",
        instead_of=tuple(rule.name for rule in (_oscillating(t), *_collapsed(t))),
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
