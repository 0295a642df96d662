"""Writes sweeps whose truth is known, as real Parquet directories."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.load import Sweep, load
from analysis.parts import to_frame
from analysis.schema import (
    CONTROL,
    END_METRICS,
    HISTORY,
    METRICS,
    SAMPLES,
    SIGNALS,
    STATISTICS,
    TRIALS,
)
from gan_core.config import ConfigError
from gan_core.datasets import check_dataset

CLASSES, IMAGES, REAL_FRECHET, UNTRAINED_FRECHET = 10, 898, 0.6, 320.0
UNTRAINED = {"shares": [0.8, 0.2] + [0.0] * 8, "feature_spread": 0.05}

# What held-out digits score, and all that a generator can reach.
AT_END = {
    "kid": 0.0,
    "precision_k5": 0.976,
    "recall_k5": 0.967,
    "density_k5": 0.995,
    "coverage_k5": 0.965,
    "ndb_share": 0.05,
    "bin_js": 0.02,
    "vendi_score": 11.0,
    "nearest_train_ratio": 1.0,
}

# What a cross-entropy GAN shows at equilibrium.
EQUILIBRIUM = {
    "d_loss": 2 * np.log(2),
    "g_loss": np.log(2),
    "real_accuracy": 0.6,
    "fake_accuracy": 0.6,
    "grad_norm_d": 1.0,
    "grad_norm_g": 2.0,
}


def even(k: int, of: int = CLASSES) -> np.ndarray:
    """Equal shares of the first k classes."""
    return np.array([1 / k] * k + [0.0] * (of - k))


def entropy_modes(shares: np.ndarray) -> float:
    """exp of the entropy: the effective number of modes."""
    p = np.asarray(shares)[np.asarray(shares) > 0]
    return float(np.exp(-(p * np.log(p)).sum()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """The truth about a member: functions of the rung, 1 to `rungs`."""

    trial: int
    seed: int = 0
    attempt: int = 0
    status: str = "complete"
    rungs: int = 20
    every: int = 100
    frechet: Callable[[int], float] = lambda r: 5 + 300 * np.exp(-r)
    shares: Callable[[int], Any] = lambda r: even(CLASSES)
    spread: Callable[[int], float] = lambda r: 0.98
    within: Callable[[int], float] = lambda r: 1.0
    signals: Callable[[int], dict[str, float]] = lambda r: {}
    at_end: dict[str, float | None] = dataclasses.field(default_factory=dict)
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    row: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def keys(self) -> dict[str, Any]:
        return {"sweep": "s", "trial": self.trial, "seed": self.seed, "attempt": self.attempt}

    def history(self) -> list[dict[str, Any]]:
        start = {"frechet_distance": UNTRAINED_FRECHET, "feature_spread": 0.05}
        start["within_class_spread"] = 0.05
        rows = [self._rung(0, np.array(UNTRAINED["shares"]), start)]
        for r in range(1, self.rungs + 1):
            values: dict[str, Any] = {
                "frechet_distance": self.frechet(r),
                "feature_spread": self.spread(r),
                "within_class_spread": self.within(r),
            }
            signals = EQUILIBRIUM | self.signals(r)
            for name in SIGNALS:
                for statistic in STATISTICS:
                    values[f"{name}_{statistic}"] = signals.get(name)
            values |= {k: v for k, v in signals.items() if k not in SIGNALS}
            rows.append(self._rung(r, np.asarray(self.shares(r)), values))
        return rows

    def _rung(self, r: int, shares: np.ndarray, values: dict[str, Any]) -> dict[str, Any]:
        return {
            **self.keys,
            "rung": r,
            "step": r * self.every,
            "interval_steps": self.every if r else 0,
            "nonfinite_steps": 0,
            "mode_entropy": entropy_modes(shares),
            "mode_histogram": shares.tolist(),
            "eval_images": IMAGES,
            **values,
        }

    def ended(self) -> dict[str, Any]:
        return {
            **self.keys,
            "status": self.status,
            "loss": "nonsaturating",
            "label_smoothing": 0.0,
            "latent_dim": 16,
            "lr_g": 1e-3,
            "steps": self.rungs * self.every,
            "trial_objective": 1.0,
            **{f"final_{name}": value for name, value in (AT_END | self.at_end).items()},
            **self.hyperparameters,
            **self.row,
        }


class Writer:
    """Writes parts into one sweep's directory."""

    def __init__(self, path: Path) -> None:
        self.path, self.parts = path, 0

    even = staticmethod(even)

    @staticmethod
    def member(trial: int = 0, **truth: Any) -> Member:
        """Healthy, but for what is said otherwise."""
        return Member(trial=trial, **truth)

    def config(self, text: str) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "sweep.toml").write_text(text)

    def part(
        self, kind: str, rows: list[dict[str, Any]], schema: pa.Schema, name: str | None = None
    ) -> Path:
        folder = self.path / kind
        folder.mkdir(parents=True, exist_ok=True)
        self.parts += 1
        file = folder / (name or f"{self.parts:06d}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
        return file

    def members(self, *members: Member, ended: bool = True) -> None:
        self.part("history", [row for m in members for row in m.history()], HISTORY)
        if ended:
            self.part("trials", [m.ended() for m in members], TRIALS)

    def samples(self, *members: Member) -> None:
        rows = [{**m.keys, "step": 100, "png": bytes([m.attempt])} for m in members]
        self.part("samples", rows, SAMPLES)

    def control(self, *, real_shares: np.ndarray | None = None, images: int = IMAGES) -> None:
        shares = even(CLASSES) if real_shares is None else real_shares
        base = {"sweep": "s", "dataset": "digits", "eval_images": images}
        metrics: dict[str, float | None] = dict.fromkeys((*METRICS, *END_METRICS), 0.0)
        metrics |= dict.fromkeys(("hq_share", "modes_hit"))  # not of images
        real = metrics | {
            "frechet_distance": REAL_FRECHET,
            "mode_entropy": entropy_modes(shares),
            "feature_spread": 1.0,
            "within_class_spread": 1.0,
            **AT_END,
        }
        untrained = metrics | {
            "frechet_distance": UNTRAINED_FRECHET,
            "mode_entropy": entropy_modes(np.array(UNTRAINED["shares"])),
            "feature_spread": UNTRAINED["feature_spread"],
        }
        rows = [
            {**base, "kind": "real", "mode_histogram": shares.tolist(), **real},
            {**base, "kind": "untrained", "mode_histogram": UNTRAINED["shares"], **untrained},
        ]
        self.part("control", rows, CONTROL)

    def load(self) -> Sweep:
        return load(self.path)


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """Where the real MNIST lies; without it the test is skipped."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("GANSWEEP_TEST_DATA", beside))
    try:
        check_dataset("mnist", root, download=False)
    except ConfigError as error:
        pytest.skip(f"no MNIST; GANSWEEP_TEST_DATA may name its directory: {error}")
    return root


@pytest.fixture(scope="session")
def writer_at() -> Callable[[Path], Writer]:
    """Begins a sweep at a path of the caller's."""

    def begun(path: Path) -> Writer:
        made = Writer(path)
        made.config('name = "digits"\n[train]\nsteps = 2000\n')
        return made

    return begun


@pytest.fixture
def writer(writer_at: Callable[[Path], Writer], tmp_path: Path) -> Writer:
    """A sweep that has a config and nothing else yet."""
    return writer_at(tmp_path / "runs" / "digits")


@pytest.fixture
def sweep_of() -> Callable[..., Sweep]:
    """Makes a sweep in memory of as few columns as a test is about; the others are null.

    A row of `members` needs a trial; of `history` a trial and a rung.
    """

    def make(
        members: list[dict[str, Any]],
        *,
        history: list[dict[str, Any]] | None = None,
        untrained: dict[str, float] | None = None,
        search: dict[str, Any] | None = None,
        path: str = "nowhere",
        **config: Any,
    ) -> Sweep:
        def frame(rows: list[dict[str, Any]], schema: pa.Schema, **usual: Any) -> pd.DataFrame:
            return to_frame(pa.Table.from_pylist([usual | row for row in rows], schema=schema))

        start = {"frechet_distance": UNTRAINED_FRECHET} if untrained is None else untrained
        controls = [{"kind": "untrained", **start}]
        usual = {"sweep": "s", "seed": 0, "attempt": 0}
        rungs = [{"step": 100 * row["rung"], **row} for row in history or []]
        return Sweep(
            path=path,
            config={"search": search or {}, **config},
            trials=frame(members, TRIALS, **usual, status="complete"),
            history=frame(rungs, HISTORY, **usual),
            control=frame(controls, CONTROL, sweep="s"),
        )

    return make
