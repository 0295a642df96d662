"""The results as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from benchmarks import figures
from benchmarks.cases import CASES
from benchmarks.overhead import SHARES
from benchmarks.ratios import best, median_of
from benchmarks.results import Key, Results
from benchmarks.targets import GANSWEEP, STOCK, TARGETS, judge
from benchmarks.trainer import MATMUL, MATMUL_SIDE

__all__ = ["BLOCKS", "markdown", "table"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]
    return "\n".join(lines)


def markdown(results: Results) -> str:
    """All that a file of results says, the targets last."""
    parts = ["# Against what people use today", machine(results)]
    for title, make in _SECTIONS.items():
        text = make(results)
        if text:
            parts += [f"## {title}", text]
    failed = [f"- {r.key.case}, {r.key.label}: {r.error}" for r in results.failures()]
    if failed:
        parts += ["## Not measured", "\n".join(failed)]
    return "\n\n".join([*parts, "## Targets", targets(results)]) + "\n"


def machine(results: Results) -> str:
    """Where and with what, a sentence each; of several runs, what differs."""
    first = results.sessions[0]
    gpu = f"{first['gpu']}; " if first["gpu"] else ""
    versions = ", ".join(f"{name} {number}" for name, number in first["versions"].items())
    commits = ", ".join(dict.fromkeys(session["commit"] for session in results.sessions))
    dates = list(dict.fromkeys(session["date"] for session in results.sessions))
    loads = [s[k][0] for s in results.sessions for k in ("load_before", "load_after") if k in s]
    return (
        f"{gpu}{first['cores']} cores of {first['processor']}, {first['memory_gib']} GiB; "
        f"{first['system']}, Python {first['python']}, {versions}; commit {commits}; "
        f"{' to '.join(dict.fromkeys([dates[0], dates[-1]]))}; load averages of the last minute "
        f"before and after {len(results.sessions)} sitting(s): {min(loads):.1f} to "
        f"{max(loads):.1f}; {first['threads']}; {first['priority']}."
    )


def rates(results: Results) -> str:
    """A table for each case: speed on command on one core or device."""
    return "\n\n".join(
        f"{case.title}, batch {case.batch_size}:\n\n{_rates(results, name)}"
        for name, case in CASES.items()
        if results.keys("rates", name)
    )


def _rates(results: Results, case: str) -> str:
    solo = Key(figure="rates", case=case, contender="solo")
    rows = [
        [
            key.label,
            _number(figures.rate(results, key)),
            _times(figures.rate_ratio(results, key, solo)),
            _share(figures.matmul_share(results, key)),
            _mib(results, key),
        ]
        for key in results.keys("rates", case)
        if key.contender != MATMUL
    ]
    return table(
        ["", "member-steps/s", "against solo", "share of the matmul rate", "peak MiB"], rows
    )


def sweeps(results: Results) -> str:
    """A table for each case: whole searches without pruning."""
    return _for_each_case(results, "sweeps", _sweeps)


def _sweeps(results: Results, case: str) -> str:
    keys = results.keys("sweeps", case)
    ours = Key(figure="sweeps", case=case, contender="gansweep")
    rows = [
        [
            key.label,
            _number(_median(results, key, "trials")),
            _number(_median(results, key, "wall_s")),
            _number(_median(results, key, "begin_s")),
            _number(figures.speed_of_search(results, key)),
            _times(figures.speed_ratio(results, ours, key)),
            _mib(results, key),
        ]
        for key in keys
    ]
    head = ["", "trials", "seconds", "of them start", "trainings/hour", "gansweep is", "peak MiB"]
    return table(head, rows)


def target(results: Results) -> str:
    """A table for each case: whole searches with pruning, and the times to stock's best."""
    return _for_each_case(results, "target", _target)


def _target(results: Results, case: str) -> str:
    keys = results.keys("target", case)
    rows = [
        [
            key.label,
            _number(_median(results, key, "trials")),
            _number(_median(results, key, "trained_steps")),
            _number(_median(results, key, "wall_s")),
            _number(median_of(results.of(key), lambda values: best(values)[0])),
            _number(median_of(results.of(key), lambda values: best(values)[1])),
        ]
        for key in keys
    ]
    searches = table(["", "trials", "steps", "seconds", "its best", "reached after s"], rows)
    stock = [key for key in keys if key.contender == STOCK]
    ours = [key for key in keys if key.contender == GANSWEEP]
    reached = [_reached(results, own, other) for other in stock for own in ours]
    head = ["until the best of", "by", "after s", "gansweep is", "against its end"]
    return "\n\n".join([searches, *([table(head, reached)] if reached else [])])


def _reached(results: Results, own: Key, other: Key) -> list[str]:
    """When one search had what was the other's best."""
    return [
        other.label,
        own.label,
        _number(figures.seconds_to_reach(results, own, other)),
        _times(figures.time_ratio(results, own, other)),
        _times(figures.time_ratio(results, own, other, whole=True)),
    ]


def overhead(results: Results) -> str:
    """A table for each case: where the workers' time goes."""
    return _for_each_case(results, "overhead", _overhead)


def _overhead(results: Results, case: str) -> str:
    keys = results.keys("overhead", case)

    def row(name: str) -> list[str]:
        return [_share(median_of(results.of(k), lambda v: v["shares"][name]), 1) for k in keys]

    rows = [[meaning, *row(name)] for name, meaning in SHARES.items()]
    for words, running in (("all but training", False), ("all but training, while running", True)):
        shares = [figures.outside_training(results, key, running=running) for key in keys]
        rows.append([words, *(_share(share, 1) for share in shares)])
    return table(["share of wall time x workers", *(key.variant for key in keys)], rows)


def targets(results: Results) -> str:
    """The promises and what became of them; of another device than was measured, nothing."""
    rows = []
    for promise in TARGETS:
        measured = (
            promise.measure(results) if promise.device == figures.device_of(results) else None
        )
        bounds = [_share(b) if promise.is_share else _times(b) for b in (promise.must, promise.aim)]
        own = _share(measured, 1) if promise.is_share else _times(measured)
        rows.append([promise.title, *bounds, own, judge(promise, measured)])
    return table(["case", "must", "aim", "measured", "met?"], rows)


_SECTIONS: dict[str, Callable[[Results], str]] = {
    f"Speed of training (matmul rate: float32 products of {MATMUL_SIDE} x {MATMUL_SIDE})": rates,
    "Whole sweeps, every trial trained to its end": sweeps,
    "Time to the best that stock finds, with pruning": target,
    "What is not training": overhead,
}

BLOCKS: dict[str, Callable[[Results], str]] = {
    "machine": machine,
    "rates": rates,
    "sweeps": sweeps,
    "target": target,
    "overhead": overhead,
    "targets": targets,
}
"""What a document may quote, by name."""


def _for_each_case(results: Results, figure: str, make: Callable[[Results, str], str]) -> str:
    named = [name for name in CASES if results.keys(figure, name)]
    return "\n\n".join(f"{CASES[name].title}:\n\n{make(results, name)}" for name in named)


def _median(results: Results, key: Key, name: str) -> float | None:
    return median_of(results.of(key), lambda values: values[name])


def _mib(results: Results, key: Key) -> str:
    return _number(_median(results, key, "peak_mib"))


def _number(value: float | None) -> str:
    """Three digits and no more than is there; "never" for what was not reached."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "never"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}x" if value < 100 else f"{value:.0f}x"


def _share(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}%}"
