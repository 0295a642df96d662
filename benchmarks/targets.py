"""What the project promises to be, as ratios, and whether it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import figures
from benchmarks.effort import FULL
from benchmarks.results import Key, Results

__all__ = ["GANSWEEP", "STOCK", "TARGETS", "Target", "judge"]

SOLO, GANSWEEP, STOCK = "solo", "gansweep", "stock"
MANY = f"{FULL.many_trials} trials"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One promise."""

    title: str
    device: str
    must: float
    aim: float
    measure: Callable[[Results], float | None]
    is_share: bool = False
    """A cost, of which less is better; else a number of times."""


def _rates(case: str, contender: str, variant: str = "") -> Key:
    return Key(figure="rates", case=case, contender=contender, variant=variant)


def _cohort(case: str, variant: str) -> Callable[[Results], float | None]:
    def measure(results: Results) -> float | None:
        own, alone = _rates(case, GANSWEEP, variant), _rates(case, SOLO)
        return figures.rate_ratio(results, own, alone)

    return measure


def _best_cohort(case: str) -> Callable[[Results], float | None]:
    def measure(results: Results) -> float | None:
        cohorts = [k for k in results.keys("rates", case) if k.contender == GANSWEEP]
        ratios = [figures.rate_ratio(results, key, _rates(case, SOLO)) for key in cohorts]
        return max((ratio for ratio in ratios if ratio is not None), default=None)

    return measure


def _search(figure: str, case: str, contender: str, variant: str = "") -> Key:
    return Key(figure=figure, case=case, contender=contender, variant=variant)


def _speed(variant: str) -> Callable[[Results], float | None]:
    def measure(results: Results) -> float | None:
        own = _search("sweeps", "digits", GANSWEEP, variant)
        return figures.speed_ratio(results, own, _search("sweeps", "digits", STOCK))

    return measure


def _time(variant: str) -> Callable[[Results], float | None]:
    def measure(results: Results) -> float | None:
        own = _search("target", "digits", GANSWEEP, variant)
        return figures.time_ratio(results, own, _search("target", "digits", STOCK, "ASHA"))

    return measure


def _speed_per_gpu(results: Results) -> float | None:
    own = _search("sweeps", "mnist", GANSWEEP)
    others = [key for key in results.keys("sweeps", "mnist") if key.contender == STOCK]
    ratios = [figures.speed_ratio(results, own, other) for other in others]
    return min((ratio for ratio in ratios if ratio is not None), default=None)


def _outside(results: Results) -> float | None:
    return figures.outside_training(results, _search("overhead", "digits", GANSWEEP, "64 slots"))


TARGETS = (
    Target(
        title="digits, one core, K = 32, member-steps/s against `solo`",
        device="cpu", must=4, aim=6, measure=_cohort("digits", "K=32"),
    ),
    Target(
        title="digits, the same in bfloat16, `solo` in float32",
        device="cpu", must=4, aim=6, measure=_cohort("digits", "K=32 bfloat16"),
    ),
    Target(
        title="ring8, one core, K = 32, member-steps/s against `solo`",
        device="cpu", must=3, aim=5, measure=_cohort("ring8", "K=32"),
    ),
    Target(
        title="MNIST MLP, one core, K = 16, member-steps/s against `solo`",
        device="cpu", must=1.5, aim=3, measure=_cohort("mnist", "K=16"),
    ),
    Target(
        title="digits, 64 trials x 2,000 steps on all cores, trainings/hour against `stock`",
        device="cpu", must=8, aim=15, measure=_speed(""),
    ),
    Target(
        title="digits, the same, all in flight",
        device="cpu", must=8, aim=15, measure=_speed("all in flight"),
    ),
    Target(
        title="digits, the same, all in flight, bfloat16",
        device="cpu", must=8, aim=15, measure=_speed("all in flight bfloat16"),
    ),
    Target(
        title="digits, time to the best objective of `stock` with ASHA; "
        f"`gansweep` of {MANY}; time is the budget, not trials",
        device="cpu", must=8, aim=20, measure=_time(MANY),
    ),
    Target(
        title=f"digits, the same, `gansweep` of {FULL.trials} trials",
        device="cpu", must=8, aim=20, measure=_time(""),
    ),
    Target(
        title="digits, share of the time outside training at 64 slots",
        device="cpu", must=0.15, aim=0.05, measure=_outside, is_share=True,
    ),
    Target(
        title="GPU, MNIST MLP, best K, member-steps/s against `solo`",
        device="cuda", must=50, aim=300, measure=_best_cohort("mnist"),
    ),
    Target(
        title="GPU, MNIST MLP, trainings/hour against `stock` at its best trials per GPU",
        device="cuda", must=10, aim=50, measure=_speed_per_gpu,
    ),
    Target(
        title="GPU, MNIST DCGAN, best K, member-steps/s against `solo`",
        device="cuda", must=8, aim=25, measure=_best_cohort("dcgan"),
    ),
)  # fmt: skip
"""All of them, in the order of the table."""


def judge(target: Target, measured: float | None) -> str:
    """In words: met, or by how much not."""
    if measured is None:
        return "not measured"
    met_must, met_aim = (
        measured <= bound if target.is_share else measured >= bound
        for bound in (target.must, target.aim)
    )
    if met_aim:
        return "met, and the aim"
    bound = target.aim if met_must else target.must
    if target.is_share:
        lacks = f"{(measured - bound) * 100:.1f} points too many"
    else:
        lacks = f"{measured / bound:.0%} of it"
    return f"met; of the aim {lacks}" if met_must else f"not met: {lacks}"
