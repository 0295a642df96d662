"""The rules that give each verdict, as data. Their numbers: `analysis.thresholds`."""

from __future__ import annotations

from analysis.rule import Condition, Rule, Span, Verdict
from analysis.schema import GRADIENT_SIGNALS
from analysis.thresholds import Thresholds

__all__ = ["Condition", "Rule", "Span", "Verdict", "rules"]

_MODES = "real_mode_entropy"


def rules(thresholds: Thresholds) -> tuple[Rule, ...]:
    """All rules in order of precedence: the first that holds gives the verdict.

    After divergence no number means anything, and of what was hardly recorded nothing can be
    said. Then what was lost (late collapse) goes before what is, and causes (D saturated) before
    effects. A generator that never left its start has few modes too, and one still on its way
    has not found them all, so `untrained` and `improving` go before collapse. (Of few modes that
    holds only while they become more: what moves among them is now better, now worse.) One that
    rotates around the modes has few at any moment, so oscillating goes before collapse as well.
    Severe goes before partial. Between them stand the few good points of a mixture, which are few
    in every mode and not lost from any. The last samples alone are asked when no decline of the
    last evaluation is in doubt. In the end come members that show no fault, but were not trained
    to the end, and remarks.

    What tutorials advise to look out for (a D loss near 0, a G loss that is too high) is here as
    `d_loss_gone`, `g_rejected` and the remark `d_loss_low_few_modes`. A Wasserstein critic's
    losses have no scale, so none of the three is judged there.
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
        _poor_points(thresholds),
        *_partly_collapsed(thresholds),
        _decline_unconfirmed(thresholds),
        *_covers_little(thresholds),
        *_unfinished(thresholds),
        *_remarks(thresholds),
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
        Rule(
            "samples_not_finite",
            Verdict.DIVERGED,
            (Condition("nonfinite_evaluations", ">=", 1),),
            Span.RUN,
            "status",
            rung_metric="nonfinite_evaluation",
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
        "late_collapse_ratio, frechet_chance, window_evaluations",
        rung_metric="frechet_declined",
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
        Rule(
            "g_rejected",
            Verdict.D_SATURATED,
            (
                Condition("g_loss", ">", t.g_loss_rise, "g_loss_equilibrium"),
                Condition("d_loss_excess", "<", t.d_loss_strong, "d_loss_equilibrium_excess"),
            ),
            Span.WINDOW,
            "g_loss_rise, d_loss_strong",
            rung_metric="g_loss_mean",
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
            Condition("like_real", "<", 1),
        ),
        Span.WINDOW,
        "untrained_share, like_real",
        rung_metric="frechet_distance",
    )


def _improving(t: Thresholds) -> Rule:
    return Rule(
        "improving",
        Verdict.UNDERTRAINED,
        (
            Condition("frechet_distance", "<", t.improving_ratio, "frechet_before"),
            Condition("frechet_gain", ">", t.improving_gain, "frechet_floor"),
            Condition("mode_entropy", ">=", t.modes_kept, "modes_reached"),
            Condition("modes_stuck", "<", 1),
            Condition("d_ahead", "<", 1),
        ),
        Span.WINDOW,
        "improving_ratio, improving_gain, frechet_chance, modes_kept, modes_severe, mode_change, "
        "d_loss_low",
        instead_of=tuple(
            rule.name
            for rule in (
                _oscillating(t),
                *_collapsed(t),
                *_partly_collapsed(t),
                *_covers_little(t),
            )
        ),
    )


def _oscillating(t: Thresholds) -> Rule:
    return Rule(
        "oscillating",
        Verdict.OSCILLATING,
        (Condition("mode_change", ">", t.mode_change),),
        Span.CHANGES,
        "mode_change, oscillation_evaluations",
        told_by=_MODES,
    )


def _collapsed(t: Thresholds) -> tuple[Rule, ...]:
    severe = Verdict.MODE_COLLAPSE
    return (
        _less_than_real("few_modes", severe, "mode_entropy", "modes_severe", t),
        _less_than_real("narrow", severe, "feature_spread", "spread_severe", t),
        _less_than_real("narrow_within", severe, "within_class_spread", "within_severe", t),
    )


def _poor_points(t: Thresholds) -> Rule:
    return _less_than_real("poor_points", Verdict.UNDERTRAINED, "hq_share", "quality", t)


def _partly_collapsed(t: Thresholds) -> tuple[Rule, ...]:
    partial = Verdict.PARTIAL_COLLAPSE
    return (
        _less_than_real("fewer_modes", partial, "mode_entropy", "modes_partial", t),
        Rule(
            "missing_class",
            partial,
            (Condition("class_share_of_real", "<", t.class_share),),
            Span.WINDOW,
            "class_share, class_images",
            rung_metric="class_share_of_real",
            told_by=_MODES,
        ),
        _less_than_real("narrower_within", partial, "within_class_spread", "within_partial", t),
        _less_than_real(
            "narrower",
            partial,
            "feature_spread",
            "spread_partial",
            t,
            # Inside classes a lack of width shows better.
            Condition("within_told", "<", 1),
        ),
    )


def _decline_unconfirmed(t: Thresholds) -> Rule:
    return Rule(
        "decline_unconfirmed",
        Verdict.UNDETERMINED,
        (Condition("frechet_last", ">=", t.late_collapse_ratio, "frechet_best"),),
        Span.RECENT,
        "late_collapse_ratio, frechet_chance, window_evaluations",
        rung_metric="frechet_declined",
    )


def _covers_little(t: Thresholds) -> tuple[Rule, ...]:
    partial = Verdict.PARTIAL_COLLAPSE
    return (
        Rule(
            "covers_little",
            partial,
            (
                Condition("final_coverage_k5", "<", t.coverage, "real_coverage_k5"),
                Condition("final_precision_k5", ">=", t.coverage_precision, "real_precision_k5"),
            ),
            Span.END,
            "coverage, coverage_precision",
        ),
        Rule(
            "crowded",
            partial,
            (
                Condition("final_density_k5", ">", t.density_crowded),
                Condition("final_recall_k5", "<", t.recall_crowded, "real_recall_k5"),
            ),
            Span.END,
            "density_crowded, recall_crowded",
        ),
    )


def _less_than_real(
    name: str, verdict: Verdict, metric: str, threshold: str, t: Thresholds, *more: Condition
) -> Rule:
    """A metric of which the samples have less than that share of what real ones have."""
    return Rule(
        name,
        verdict,
        (Condition(metric, "<", getattr(t, threshold), f"real_{metric}"), *more),
        Span.WINDOW,
        threshold,
        rung_metric=metric,
        essential=name in ("few_modes", "narrow"),
        episodic=verdict is Verdict.MODE_COLLAPSE,
        told_by={"hq_share": "real_hq_share", "feature_spread": None}.get(metric, _MODES),
    )


def _unfinished(t: Thresholds) -> tuple[Rule, ...]:
    return (
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


def _remarks(t: Thresholds) -> tuple[Rule, ...]:
    return (
        Rule(
            "d_loss_low_few_modes",
            None,
            (
                Condition("d_loss_excess", "<", t.d_loss_low, "d_loss_equilibrium_excess"),
                Condition("mode_entropy", "<", t.modes_partial, "real_mode_entropy"),
            ),
            Span.WINDOW,
            "d_loss_low, modes_partial",
        ),
        Rule(
            "declining",
            None,
            (Condition("frechet_recent_least", ">=", t.decline_warning, "frechet_best"),),
            Span.RECENT,
            "decline_warning, frechet_chance",
        ),
        Rule(
            "copies",
            None,
            (Condition("final_nearest_train_ratio", "<", t.copies),),
            Span.END,
            "copies",
        ),
    )
