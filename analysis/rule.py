"""What a rule is: a verdict, what must hold for it, and the stretch of training it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Condition", "Rule", "Span", "Verdict"]


class Verdict(StrEnum):
    """What analysis says of a member."""

    HEALTHY = "healthy"
    """Every essential rule was judged and none holds."""
    PARTIAL_COLLAPSE = "partial_collapse"
    """Some modes are missing, thin or narrow."""
    MODE_COLLAPSE = "mode_collapse"
    """Less than half of the modes, or of their width."""
    OSCILLATING = "oscillating"
    """The modes it makes change from one evaluation to the next."""
    D_SATURATED = "d_saturated"
    """D tells all real from all fake, and G has nothing to learn from."""
    LATE_COLLAPSE = "late_collapse"
    """It was much better once."""
    DIVERGED = "diverged"
    """A loss, gradient or sample was not finite, or gradients or samples exploded."""
    UNDERTRAINED = "undertrained"
    """It has lost nothing, but is not far from an untrained generator, makes points that are no
    good or was ended early."""
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
    END = "end"
    """The samples that it was asked for when it ended."""


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
    verdict: Verdict | None
    """None: a remark, which stands among a member's other rules and gives no verdict."""
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
    told_by: str | None = None
    """A score of real samples. Where the dataset has none the rule is not about it."""
