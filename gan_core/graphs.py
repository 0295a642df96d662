"""Training steps on a CUDA device as one graph: launched once instead of kernel by kernel.

A step of small networks is hundreds of kernels of some microseconds; launching them one by one
takes the host longer than running them takes the device. A captured step is launched whole. It
reads and writes the cohort's own tensors, so it survives refilled slots; it is captured again when
the members' signatures, their number or the tensors' sizes change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch

from gan_core.cohort import Cohort
from gan_core.data import Dataset
from gan_core.schedule import Schedule
from gan_core.signals import SignalStatistics
from gan_core.step import Observed, advance

__all__ = ["Capture", "capture_on_cuda", "run_graphed"]

_WARM_UP = 3
"""Steps that are made in the ordinary way before a capture, as torch's documentation wants it:
libraries take their workspaces then. They are training like all others."""

Capture = Callable[[Callable[[], Observed]], Callable[[], Observed]]
"""From a step, which it may not run, to what runs it; RuntimeError where that cannot be."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Captured:
    dataset: Dataset
    """Held, because the graph reads it at its address."""
    key: tuple[Schedule, tuple[int, ...]]
    """What else it was captured for: see `_key`."""
    replay: Callable[[], Observed]


_captured: WeakKeyDictionary[Cohort, _Captured] = WeakKeyDictionary()
_refused: WeakKeyDictionary[Cohort, bool] = WeakKeyDictionary()


def capture_on_cuda(one: Callable[[], Observed]) -> Callable[[], Observed]:
    """Captures a step; what is observed at a replay stands in the same tensors each time."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        observed = one()

    def replay() -> Observed:
        graph.replay()
        return observed

    return replay


def run_graphed(
    cohort: Cohort,
    dataset: Dataset,
    statistics: SignalStatistics,
    steps: int,
    *,
    capture: Capture = capture_on_cuda,
) -> None:
    """Trains by this many steps, in a graph as soon as there is one.

    A cohort whose step cannot be captured is trained in the ordinary way from then on, and the
    log says so once.

    Args:
        cohort: changed in place.
        dataset: on its device.
        statistics: takes every step's signals in.
        steps: to make, >= 0.
        capture: makes a graph of a step.
    """

    def one() -> Observed:
        return advance(cohort, dataset)

    run = _known(cohort, dataset)
    with _plain_float32():
        for made in range(steps):
            if run is None and made == _WARM_UP and cohort not in _refused:
                run = _capture(cohort, dataset, one, capture)
            observed = one() if run is None else run()
            statistics.add(observed.signals, sound=observed.sound, nonfinite=observed.nonfinite)


@contextmanager
def _plain_float32() -> Iterator[None]:
    """Convolutions of float32 without TF32, which cuDNN takes unless told not to."""
    settings: Any = getattr(torch.backends.cudnn, "conv", None)  # since torch 2.9
    if settings is None:
        yield
        return
    before = settings.fp32_precision
    settings.fp32_precision = "ieee"
    try:
        yield
    finally:
        settings.fp32_precision = before


def _known(cohort: Cohort, dataset: Dataset) -> Callable[[], Observed] | None:
    found = _captured.get(cohort)
    if found is None or found.dataset is not dataset or found.key != _key(cohort):
        return None
    return found.replay


def _capture(
    cohort: Cohort, dataset: Dataset, one: Callable[[], Observed], capture: Capture
) -> Callable[[], Observed] | None:
    _captured.pop(cohort, None)  # its memory is wanted
    try:
        replay = capture(one)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        _log.warning("training without a CUDA graph, which could not be captured: %s", reason)
        _refused[cohort] = True
        return None
    _captured[cohort] = _Captured(dataset, _key(cohort), replay)
    return replay


def _key(cohort: Cohort) -> tuple[Schedule, tuple[int, ...]]:
    """Who stands where, and the addresses of what they are."""
    stacks = (cohort.G, cohort.D)
    return cohort.schedule, tuple(t.data_ptr() for s in stacks for t in s.state().values())
