"""What a sweep has written, as tidy DataFrames; several sweeps side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analysis.attempts import Newest, last_attempts
from analysis.location import Location, locate
from analysis.parts import Keys, read_table
from analysis.schema import SAMPLES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Sweep", "Sweeps", "check_selected", "side_by_side"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep has written so far; columns and their meaning: `analysis.schema`."""

    path: str
    """Directory or URI that it was read from, without credentials and options."""
    config: dict[str, Any]
    """The resolved `sweep.toml`; empty where there is none yet."""
    trials: pd.DataFrame
    """One row per member that has ended, by (trial, seed)."""
    history: pd.DataFrame
    """One row per member and rung, by (trial, seed, rung), members still in training included."""
    control: pd.DataFrame
    """Scores of real images and of an untrained generator, by kind."""
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By table, the columns that some of its rows were written without by an older gansweep, and
    are null in; tables that lack nothing are not in it."""
    location: Location | None = field(default=None, repr=False)
    """Where `path` is; found by it where None."""
    selected: frozenset[str] | None = None
    """The columns of `history` that were read, if not all were asked for."""

    @property
    def name(self) -> str:
        """As in the column `sweep`, or else the last part of its path."""
        written = self.config.get("name")
        for frame in (self.trials, self.history):
            if not written and len(frame):
                written = frame["sweep"].iloc[0]
        return str(written or self.path.rstrip("/").rpartition("/")[2])

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Sample grids, PNG-encoded, by (trial, seed, step). Read when first asked for."""

        def choose(keys: Keys) -> np.ndarray:
            newest = Newest(keys, self.trials, self.history)
            return last_attempts(keys, ("trial", "seed", "step"), newest)

        location = self.location or locate(self.path)
        keys = ("trial", "seed", "step", "attempt")
        frame = read_table(location, "samples", SAMPLES, keys=keys, choose=choose).frame
        return frame.assign(sweep=self.name) if len(frame) else frame


@dataclass(frozen=True, eq=False)
class Sweeps:
    """Several sweeps, each by itself and all in one frame, where `sweep` tells them apart.

    A trial's number means another trial in every sweep, and their objectives and controls may
    differ. So what judges and ranks is done one by one: `{s.name: judge(s) for s in sweeps}`.
    """

    each: tuple[Sweep, ...]
    """In the order asked for; the `sweep` of their frames is unlike any other's."""

    def __iter__(self) -> Iterator[Sweep]:
        return iter(self.each)

    def __len__(self) -> int:
        return len(self.each)

    @property
    def path(self) -> str:
        """Those of all."""
        return ", ".join(sweep.path for sweep in self.each)

    @property
    def selected(self) -> frozenset[str] | None:
        """The columns of `history` that were read of each, if not all were asked for."""
        return self.each[0].selected

    @property
    def config(self) -> dict[str, Any]:
        """There is none of all.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"{len(self)} sweeps have no one config, and trial numbers of their own: go through "
            "them one by one, such as [leaderboard(sweep) for sweep in sweeps]"
        )

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Those of all sweeps, by (trial, seed) in each."""
        return self._joined("trials")

    @cached_property
    def history(self) -> pd.DataFrame:
        """Those of all sweeps, by (trial, seed, rung) in each."""
        return self._joined("history")

    @cached_property
    def control(self) -> pd.DataFrame:
        """Those of all sweeps, by kind in each."""
        return self._joined("control")

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Those of all sweeps, by (trial, seed, step) in each. Read when first asked for."""
        return self._joined("samples")

    def _joined(self, table: str) -> pd.DataFrame:
        import pandas as pd

        return pd.concat([getattr(sweep, table) for sweep in self.each], ignore_index=True)


def check_selected(sweep: Sweep, asker: str, needed: Iterable[str]) -> None:
    """Refuses a sweep that was loaded without what somebody needs of its history.

    Such a column is not one that was never measured, so what is computed without it is wrong.

    Args:
        sweep: from `analysis.load`.
        asker: who needs the columns, as the message names it.
        needed: names of columns.

    Raises:
        ValueError: it was loaded with `columns=`, and a needed one is not among them.
    """
    if sweep.selected is None:
        return
    if left_out := [name for name in needed if name not in sweep.selected]:
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        raise ValueError(
            f"{sweep.path}: was loaded with columns=, without {left_out[0]}{more}, which {asker} "
            "needs: load it with these too, or without columns="
        )


def side_by_side(sweeps: Sequence[Sweep]) -> Sweeps:
    """The sweeps, told apart by name, or by path where two have the same name.

    Raises:
        ValueError: there are none, or one is there twice.
    """
    if not sweeps:
        raise ValueError("no sweeps: name at least one")
    paths = [sweep.path for sweep in sweeps]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise ValueError(f"{twice[0]}: is named twice")
    names = [sweep.name for sweep in sweeps]
    return Sweeps(
        tuple(
            _called(sweep, name if names.count(name) == 1 else sweep.path)
            for sweep, name in zip(sweeps, names, strict=True)
        )
    )


def _called(sweep: Sweep, name: str) -> Sweep:
    frames = (sweep.trials, sweep.history, sweep.control)
    trials, history, control = (frame.assign(sweep=name) for frame in frames)
    config = {**sweep.config, "name": name}
    return dataclasses.replace(
        sweep, config=config, trials=trials, history=history, control=control
    )
