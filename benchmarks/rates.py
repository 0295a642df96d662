"""Speed of training on one core or device: contenders in processes of their own take turns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.effort import Effort
from benchmarks.flops import step_flops
from benchmarks.results import Key
from benchmarks.trainer import MATMUL, MATMUL_SIDE, Order, Remote, Turn
from gan_core.config import Precision

__all__ = ["Failure", "measure_rates", "orders", "predicted_mib"]

Failure = tuple[Key, str]
"""What could not be measured, and why."""

_MOST_OF_THE_MEMORY = 0.5


def orders(
    case: Case,
    contenders: Sequence[str],
    effort: Effort,
    *,
    device: str,
    root: str | None,
    bfloat16: bool = False,
) -> list[Order]:
    """Who takes turns on a case, `MATMUL` among them; cohorts last, the smallest first.

    Args:
        case: what is trained.
        contenders: who is asked for.
        effort: for the greatest cohort.
        device: "cpu" or "cuda".
        root: of the data.
        bfloat16: whether a cohort trains in bfloat16 too, where the case has one.
    """
    rest = {"case": case.name, "device": device, "root": root}
    alone = [name for name in ("solo", "tutorial") if name in contenders]
    found = [Order(contender=name, **rest) for name in (MATMUL, *alone)]  # type: ignore[arg-type]
    if "gansweep" in contenders:
        found += [
            Order(contender="gansweep", members=members, precision=precision, **rest)  # type: ignore[arg-type]
            for members, precision in _cohorts(case, effort, device, bfloat16=bfloat16)
        ]
    return found


def _cohorts(
    case: Case, effort: Effort, device: str, *, bfloat16: bool
) -> list[tuple[int, Precision]]:
    """Members and precision; of as many members float32 is the first."""
    sizes = case.cuda_members if device == "cuda" else case.members
    found = [(size, Precision.FLOAT32) for size in sizes if size <= effort.most_members]
    if bfloat16 and case.bfloat16_members is not None:
        members = min(case.bfloat16_members, effort.most_members)
        found.append((members, Precision.BFLOAT16))
    return sorted(found, key=lambda cohort: cohort[0])


def key_of(order: Order) -> Key:
    """Under which its turns are kept."""
    variant = ""
    if order.contender == "gansweep":
        words = [f"K={order.members}"]
        words += [order.precision] if order.precision != Precision.FLOAT32 else []
        variant = " ".join(words)
    return Key(figure="rates", case=order.case, contender=order.contender, variant=variant)


def measure_rates(
    case: Case,
    asked: Sequence[Order],
    effort: Effort,
    *,
    on_turn: Callable[[str], None] = lambda words: None,
) -> Iterator[tuple[Key, dict[str, Any]] | Failure]:
    """Yields what each turn of each contender took, or why one takes none.

    Args:
        case: what is trained.
        asked: who trains it.
        effort: how often and how long.
        on_turn: called with a few words before each turn.
    """
    with contextlib.ExitStack() as stack:
        running: list[tuple[Remote, int]] = []
        sizes: dict[int, float] = {}
        for order in asked:
            key = key_of(order)
            on_turn(f"{case.name}: {key.label} starts")
            try:
                _check_memory(order, sizes)
                remote = stack.enter_context(Remote(order))
                running.append((remote, _calibrated(remote, effort.turn_s)))
            except (RuntimeError, MemoryError) as error:
                yield key, str(error)
                continue
            is_measure = order.contender == "gansweep" and order.precision == Precision.FLOAT32
            if is_measure and order.device == "cpu":
                sizes[order.members] = remote.ready.peak_mib
        flops = {MATMUL: 2 * MATMUL_SIDE**3}
        for number in range(effort.turns):
            for remote, steps in running:
                key = key_of(remote.order)
                on_turn(f"{case.name}: {key.label}, turn {number + 1} of {effort.turns}")
                try:
                    turn = remote.train(steps)
                except RuntimeError as error:
                    yield key, str(error)
                    continue
                name = remote.order.contender
                if name not in flops:
                    flops[name] = step_flops(case, _sample_shape(remote.order))
                yield key, _values(remote.order, turn, steps, flops[name])


def _values(order: Order, turn: Turn, steps: int, flops: int) -> dict[str, Any]:
    # On a CPU what else runs on the machine must not count.
    seconds = turn.wall_s if order.device == "cuda" else turn.cpu_s
    return {
        "steps": steps,
        "wall_s": round(turn.wall_s, 4),
        "cpu_s": round(turn.cpu_s, 4),
        "per_s": round(steps * order.members / seconds, 3),
        "flops": flops,
        "peak_mib": round(turn.peak_mib),
    }


def _calibrated(remote: Remote, seconds: float) -> int:
    """How many steps fill a turn."""
    steps = 1
    while True:
        took = remote.train(steps).wall_s
        if took >= seconds / 10:
            return max(1, round(steps * seconds / took))
        steps *= 4


def predicted_mib(sizes: dict[int, float], members: int) -> float:
    """Memory of a cohort, on the line through the smallest and the greatest that were measured."""
    if len(sizes) < 2:
        return 0.0
    small, large = min(sizes), max(sizes)
    each = (sizes[large] - sizes[small]) / (large - small)
    return sizes[large] + (members - large) * each


def _check_memory(order: Order, sizes: dict[int, float]) -> None:
    available = _available_mib()
    needed = predicted_mib(sizes, order.members) if order.contender == "gansweep" else 0.0
    if available is not None and needed > _MOST_OF_THE_MEMORY * available:
        raise MemoryError(
            f"too little memory: it would take about {needed / 1024:.1f} GiB, and "
            f"{available / 1024:.1f} are available"
        )


def _available_mib() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    (found,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(found) / 1024


def _sample_shape(order: Order) -> tuple[int, ...]:
    from benchmarks.cases import find_case
    from gan_core.datasets import sample_shape

    dataset = find_case(order.case).dataset
    shape: tuple[int, ...] = (1, 28, 28)
    return shape if dataset == "mnist" else tuple(sample_shape(dataset))
