"""A whole search, as every contender is asked to make it: the same space, steps and judgement."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import Case, find_case

__all__ = ["OBJECTIVE", "SPACE", "OneOf", "Range", "Search"]

OBJECTIVE = "frechet_distance"
"""Minimised by all; measured by `gan_core.metrics.evaluate.Evaluator` for all."""


@dataclass(frozen=True)
class Range:
    """Any number between."""

    low: float
    high: float
    log: bool = False

    def as_toml(self) -> str:
        """As a sweep's config has it."""
        return f"{{ low = {self.low}, high = {self.high}, log = {str(self.log).lower()} }}"


@dataclass(frozen=True)
class OneOf:
    """One of these numbers."""

    choices: tuple[int, ...]

    def as_toml(self) -> str:
        """As a sweep's config has it."""
        return f"{{ choices = {list(self.choices)} }}"


SPACE: dict[str, Range | OneOf] = {
    "lr_g": Range(1e-5, 1e-2, log=True),
    "lr_d": Range(1e-5, 1e-2, log=True),
    "latent_dim": OneOf((8, 16, 32, 64)),
    "label_smoothing": Range(0.0, 0.3),
}
"""What is searched; the loss is the cross-entropy of the ordinary loop."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How much is searched, and with what."""

    case: Case
    trials: int
    steps: int = 2000
    """G updates of a trial; one seed each."""
    eval_every: int = 100
    """Steps between two judgements of a trial."""
    eval_images: int = 1000
    """Samples judged; digits has 898 to compare with."""
    seed: int = 0
    """Of the proposals."""
    prunes: bool = False
    """Whether poor trials are ended early."""
    reuse_actors: bool = False
    """Of Ray Tune: whether a process serves one trial after another."""
    workers: int | None = None
    """Processes that train at a time; None is the contender's own choice."""
    trials_per_gpu: int = 1
    """Of Ray Tune."""
    slots: int | None = None
    """Of gansweep, for each worker."""
    in_flight: int | None = None
    """Of gansweep: trials begun and not ended."""
    precision: str = "float32"
    """Of gansweep: a `gan_core.config.Precision`."""
    device: str = "cpu"
    root: str | None = None
    """Of the data."""

    def as_json(self) -> dict[str, Any]:
        """For another process."""
        return dataclasses.asdict(self) | {"case": self.case.name}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Search:
        """What `as_json` gave."""
        return cls(**values | {"case": find_case(values["case"])})
