"""Which trials end early.

Workers meet their rungs in lockstep: many trials report at once. Optuna's own pruners were made
for trials that arrive one by one. `SuccessiveHalvingPruner` compares a trial with those that
were *judged* before it, so of 64 trials that report the same rung it keeps 1, or 64, by the
order in which they are judged; `MedianPruner` compares with completed trials only, of which the
first cohort has none. `RungPruner` compares with everything that was reported at the rung.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from sweeps.settings import Pruner

__all__ = ["LEAST", "RungPruner", "make_pruner", "pruning_rungs"]

LEAST = 5
"""Values that a rung needs before anything is pruned there, as many as Optuna's `MedianPruner`
waits for: the best half of two is chance."""


class RungPruner(BasePruner):
    """At each of its rungs, the best share of all values reported there goes on.

    A trial goes on if fewer than ceil(keep * n) of the n values that any trial reported at this
    step, running, pruned or complete, are strictly better than its own. So equal values share
    their fate, and survivors depend on the values reported and not on the order in which they
    were reported or judged: report a whole batch before judging its first trial.

    NaN never goes on and is better than no other; it counts among the n. Infinity is ranked
    like any value.

    Args:
        rungs: steps at which trials are pruned; at any other step nothing is.
        keep: share that goes on, in (0, 1].
        least: with fewer values than this at a step nothing but NaN is pruned there.
    """

    def __init__(self, rungs: Iterable[int], keep: float, least: int = LEAST) -> None:
        if not 0 < keep <= 1:
            raise ValueError(f"keep = {keep}: must be in (0, 1]")
        if least < 1:
            raise ValueError(f"least = {least}: must be >= 1")
        self._rungs = frozenset(rungs)
        self._keep = keep
        self._least = least

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial ends at its last reported step."""
        step = trial.last_step
        if step is None or step not in self._rungs:
            return False
        others = [
            other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False)
            if step in other.intermediate_values and other.number != trial.number
        ]
        return self.ends(step, trial.intermediate_values[step], others, study.direction)

    def ends(
        self, step: int, value: float, others: Sequence[float], direction: StudyDirection
    ) -> bool:
        """Whether a trial with this value ends at the step.

        Args:
            step: G updates.
            value: the trial's.
            others: what all other trials reported at the step.
            direction: of the study.
        """
        if step not in self._rungs:
            return False
        if math.isnan(value):
            return True
        n = len(others) + 1
        # 0.28 * 25 is a little above 7 in floating point and must not become 8.
        places = math.ceil(self._keep * n - 1e-9)
        return n >= self._least and _better(others, value, direction) >= places


def _better(others: Sequence[float], value: float, direction: StudyDirection) -> int:
    """Number of strictly better values; no comparison with NaN is true."""
    if direction is StudyDirection.MAXIMIZE:
        return sum(other > value for other in others)
    return sum(other < value for other in others)


def pruning_rungs(steps: int, eval_every: int) -> tuple[int, ...]:
    """The rungs nearest to 1/8, 1/4 and 1/2 of the training, without its end.

    Geometric, as in successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943): keeping
    half at each of three rungs trains an eighth to the end. Twenty rungs would leave nothing.
    """
    near = (
        eval_every * max(1, round(steps * share / eval_every)) for share in (1 / 8, 1 / 4, 1 / 2)
    )
    return tuple(sorted({rung for rung in near if rung < steps}))


def make_pruner(
    name: Pruner, *, steps: int, eval_every: int, keep: float, least: int = LEAST
) -> BasePruner:
    """The pruner of that name, for members that train `steps` with a rung every `eval_every`.

    Optuna's pruners take what corresponds: they begin at the first pruning rung, and reduce by
    the whole number nearest to 1 / keep (2 at least, which is their least).
    """
    rungs = pruning_rungs(steps, eval_every)
    first = rungs[0] if rungs else eval_every
    factor = max(2, round(1 / keep))
    match name:
        case Pruner.NONE:
            return NopPruner()
        case Pruner.RUNGS:
            return RungPruner(rungs, keep, least)
        case Pruner.MEDIAN:
            return MedianPruner(least, n_warmup_steps=first, interval_steps=eval_every)
        case Pruner.SUCCESSIVE_HALVING:
            return SuccessiveHalvingPruner(first, reduction_factor=factor)
        case Pruner.HYPERBAND:
            # It has no bracket where the first rung is beyond the end.
            return HyperbandPruner(min(first, steps), steps, reduction_factor=factor)
