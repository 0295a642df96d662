"""A contender that trains on command, in a process of its own.

`python -m benchmarks.trainer ORDER.json` makes it and then reads numbers of steps from its standard
input. So several contenders take turns, each with its own memory and its own allocator, and
whatever else loads the machine slows all of them.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.cases import find_case, load_data

__all__ = ["MATMUL", "MATMUL_SIDE", "Order", "Remote", "Turn", "make", "serve"]

MATMUL = "matmul"
"""Not a contender but what they are measured by: float32 products."""

MATMUL_SIDE = 1024
"""Their rows and columns."""

_WARM_UP = 3
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Order:
    """Who trains what."""

    contender: str
    """"solo", "tutorial", "gansweep" or `MATMUL`."""
    case: str
    members: int = 1
    precision: str = "float32"
    """Of gansweep: a `gan_core.config.Precision`."""
    device: str = "cpu"
    root: str | None = None
    """Of the data."""


@dataclass(frozen=True)
class Turn:
    """What a number of steps took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    """Of the process so far: resident on the host, or allocated on the device."""


class Remote:
    """A contender in its own process, between `with` and its end.

    Args:
        order: who.

    Attributes:
        ready: what its first steps took.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        command = [sys.executable, "-m", "benchmarks.trainer", json.dumps(asdict(order))]
        variables = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)}
        self._process = subprocess.Popen(
            command, cwd=_ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self.ready = self.train(_WARM_UP)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def train(self, steps: int) -> Turn:
        """Has it train.

        Raises:
            RuntimeError: its process ended; with the last that it said.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it has to say about it is read below
        answer = self._process.stdout.readline()
        if not answer:
            _, said = self._process.communicate()
            last = said.strip().splitlines()[-1:] or [f"exit code {self._process.returncode}"]
            raise RuntimeError(f"{self.order.contender}: {last[0]}")
        return Turn(**json.loads(answer))


def make(order: Order) -> Callable[[int], None]:
    """The contender, as what trains by a number of steps; of `MATMUL`, so many products."""
    import torch

    if order.contender == MATMUL:
        return _products(order.device)
    case = find_case(order.case)
    dataset = load_data(case, root=order.root, device=order.device)
    match order.contender:
        case "solo":
            from benchmarks.contenders.solo import Solo

            return Solo(case, dataset).train
        case "tutorial":
            from benchmarks.contenders.tutorial import Tutorial

            torch.manual_seed(0)
            return Tutorial(case, dataset).train
        case "gansweep":
            from benchmarks.contenders.gansweep import CohortRunner

            return CohortRunner(case, dataset, order.members, order.precision).train
    raise ValueError(f"--contenders {order.contender}: does not train on command")


def _products(device: str) -> Callable[[int], None]:
    """Products by whichever of torch's two libraries for CPUs is the faster here.

    It is MKL unless torch may round, which oneDNN on processors without such instructions then
    does not: see `gan_core.dense`. What rounds is not taken.
    """
    import torch

    a, b, out = (torch.rand(MATMUL_SIDE, MATMUL_SIDE, device=device) for _ in range(3))

    def multiply(count: int) -> None:
        for _ in range(count):
            torch.mm(a, b, out=out)

    settings: Any = getattr(torch.backends.mkldnn, "matmul", None)
    if device != "cpu" or not hasattr(settings, "fp32_precision"):
        return multiply

    def cost() -> float:
        multiply(_WARM_UP)
        return _turn(multiply, 3 * _WARM_UP, device).cpu_s

    usual, before = cost(), settings.fp32_precision
    settings.fp32_precision = "bf16"
    other = cost()
    rounds = bool((out - a.double() @ b.double()).abs().max() > 1e-5 * MATMUL_SIDE)
    if rounds or other > usual:
        settings.fp32_precision = before
    return multiply


def serve(order: Order) -> None:
    """Trains as standard input says, until it ends."""
    import torch

    torch.set_num_threads(1)
    train = make(order)
    for line in sys.stdin:
        print(json.dumps(asdict(_turn(train, int(line), order.device))), flush=True)  # noqa: T201


def _turn(train: Callable[[int], None], steps: int, device: str) -> Turn:
    import torch

    def clocks() -> tuple[float, float]:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    wall, cpu = clocks()
    train(steps)
    wall_after, cpu_after = clocks()
    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    return Turn(wall_after - wall, cpu_after - cpu, peak)


if __name__ == "__main__":
    serve(Order(**json.loads(sys.argv[1])))
