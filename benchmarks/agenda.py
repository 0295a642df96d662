"""What `python -m benchmarks` measures, in order, each thing on its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import CASES, Case
from benchmarks.effort import Effort
from benchmarks.overhead import run_timed
from benchmarks.rates import measure_rates, orders
from benchmarks.results import Key, Record, Results
from benchmarks.searches import run_gansweep, run_stock
from benchmarks.searching import Search
from gan_core.config import Precision

__all__ = ["CONTENDERS", "FIGURES", "Item", "Request", "agenda"]

CONTENDERS = ("solo", "tutorial", "stock", "gansweep")
FIGURES = {
    "rates": "member-steps/s on one core or device, memory, share of the matmul rate",
    "sweeps": "trainings/hour of a whole search without pruning",
    "target": "time to the best objective of stock, both with pruning",
    "overhead": "what the workers of gansweep do beside training",
}
"""What is measured, and what that is."""

_TRIALS_PER_GPU = (1, 4, 8, 16)

Found = Iterator[tuple[Key, dict[str, Any] | str]]
Planned = tuple[str, str, str, Search, Callable[[Search], dict[str, Any]]]
"""Figure, contender, variant, and the search and who makes it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for."""

    cases: Sequence[str]
    contenders: Sequence[str]
    figures: Sequence[str]
    effort: Effort
    device: str
    workers: int
    """Processes that train at a time in a whole search: cores or GPUs."""
    root: str | None
    """Of MNIST."""
    bfloat16: bool
    """Whether what trains is a CPU that multiplies bfloat16: gansweep trains in it too."""


@dataclass(frozen=True)
class Item:
    """One thing to measure: one search, or all turns of a case."""

    title: str
    keys: tuple[Key, ...]
    turn: int
    """Of a search; how many turns there will be of `rates`."""
    measure: Callable[[Callable[[str], None]], Found]
    """Given whom to tell what is going on, yields the values of each key, or why there are none."""

    def is_in(self, results: Results) -> bool:
        """Whether it was measured, or found too large."""
        return all(
            any(
                record.is_too_large or (record.error is None and record.turn >= self.turn)
                for record in results.records
                if record.key == key
            )
            for key in self.keys
        )


def agenda(request: Request) -> Iterator[Item]:
    """All of it: the quick first, and of searches every contender once before any again."""
    cases = [CASES[name] for name in request.cases]
    if "rates" in request.figures:
        yield from (_rates(case, request) for case in cases if _trains(request))
    for turn in range(request.effort.repeats):
        for case in cases:
            if _is_searched(case, request):
                yield from _searches(case, request, turn)


def _trains(request: Request) -> bool:
    return bool({"solo", "tutorial", "gansweep"} & {*request.contenders})


def _is_searched(case: Case, request: Request) -> bool:
    """On a CPU digits alone; on a GPU MNIST too, if its files are there."""
    if case.name == "digits":
        return True
    return case.name == "mnist" and request.device == "cuda" and request.root is not None


def _rates(case: Case, request: Request) -> Item:
    from benchmarks.rates import key_of

    effort = request.effort
    asked = orders(
        case, request.contenders, effort,
        device=request.device, root=request.root, bfloat16=request.bfloat16,
    )  # fmt: skip

    def measure(tell: Callable[[str], None]) -> Found:
        yield from measure_rates(case, asked, effort, on_turn=tell)

    keys = tuple(key_of(order) for order in asked)
    return Item(f"{case.name}: speed of training", keys, effort.turns - 1, measure)


def _searches(case: Case, request: Request, turn: int) -> Iterator[Item]:
    effort = request.effort
    whole = Search(
        case=case,
        trials=effort.trials,
        steps=effort.steps,
        eval_every=effort.eval_every,
        seed=turn,
        workers=request.workers,
        device=request.device,
        root=request.root,
    )
    pruned = dataclasses.replace(whole, prunes=True)
    many, filled = effort.many_trials, 2 * request.workers * effort.slots
    planned = [
        *_stock(whole, request, figure="sweeps"),
        *_sweeps(whole, request),
        *_stock(pruned, request, figure="target"),
        ("target", "gansweep", "", pruned, run_gansweep),
        ("target", "gansweep", f"{many} trials", _full(pruned, many, request), run_gansweep),
        (
            "overhead", "gansweep", f"{effort.slots} slots", _full(whole, filled, request),
            run_timed,
        ),
    ]  # fmt: skip
    for figure, contender, variant, search, run in planned:
        if figure in request.figures and contender in request.contenders:
            key = Key(figure=figure, case=case.name, contender=contender, variant=variant)
            yield _search_item(key, search, turn, run)


def _sweeps(search: Search, request: Request) -> Iterator[Planned]:
    """The ways of gansweep to train every trial to its end."""
    yield "sweeps", "gansweep", "", search, run_gansweep
    at_once = dataclasses.replace(search, in_flight=search.trials)
    yield "sweeps", "gansweep", "all in flight", at_once, run_gansweep
    if request.bfloat16 and search.case.bfloat16_members is not None:
        coarse = dataclasses.replace(at_once, precision=Precision.BFLOAT16)
        yield "sweeps", "gansweep", "all in flight bfloat16", coarse, run_gansweep


def _full(search: Search, trials: int, request: Request) -> Search:
    """The search with the effort's slots in each worker, and a trial in each of them."""
    slots = request.effort.slots
    return dataclasses.replace(
        search, trials=trials, slots=slots, in_flight=request.workers * slots
    )


def _stock(search: Search, request: Request, *, figure: str) -> Iterator[Planned]:
    """Stock's ways to make a search."""
    trials = search.trials if search.prunes else request.effort.stock_trials
    densities = _TRIALS_PER_GPU if search.device == "cuda" else (1,)
    for density in densities:
        for reuse in (False, True):
            words = [
                *(["ASHA"] if search.prunes else []),
                *(["reuse_actors"] if reuse else []),
                *([f"{density} per GPU"] if search.device == "cuda" else []),
            ]
            made = dataclasses.replace(
                search, trials=trials, reuse_actors=reuse, trials_per_gpu=density
            )
            yield figure, "stock", " ".join(words), made, run_stock


def _search_item(
    key: Key, search: Search, turn: int, run: Callable[[Search], dict[str, Any]]
) -> Item:
    def measure(tell: Callable[[str], None]) -> Found:
        tell(f"{key.case}, {key.figure}: {key.label}, {search.trials} trials")
        yield key, run(search)

    return Item(f"{key.case}, {key.figure}: {key.label}", (key,), turn, measure)


def measure_item(item: Item, results: Results, tell: Callable[[str], None]) -> Iterator[Record]:
    """Measures it and adds what comes of it to the results; what fails is a record too."""
    session = len(results.sessions) - 1

    def record(key: Key, found: dict[str, Any] | str) -> Record:
        turn = len(results.of(key))  # what failed has no turn of its own
        made = (
            Record(key=key, session=session, turn=turn, error=found)
            if isinstance(found, str)
            else Record(key=key, session=session, turn=turn, values=found)
        )
        results.records.append(made)
        return made

    try:
        for key, found in item.measure(tell):
            yield record(key, found)
    except Exception as error:  # the others are measured all the same
        for key in item.keys:
            if not any(r.key == key and r.session == session for r in results.records):
                yield record(key, f"{type(error).__name__}: {error}")
