"""What a person sees while a sweep runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

__all__ = ["Display", "Eta", "StepRate", "SweepStatus"]

_STYLES = {
    "complete": "green",
    "running": "cyan",
    "pruned": "yellow",
    "diverged": "magenta",
    "failed": "red",
}


class SweepStatus(Protocol):
    """How far a sweep is; `sweeps.study.StudyStatus` is one. Counts are of trials."""

    @property
    def total(self) -> int: ...  # noqa: D102
    @property
    def complete(self) -> int: ...  # noqa: D102
    @property
    def pruned(self) -> int: ...  # noqa: D102
    @property
    def diverged(self) -> int: ...  # noqa: D102
    @property
    def failed(self) -> int: ...  # noqa: D102
    @property
    def running(self) -> int: ...  # noqa: D102
    @property
    def begun(self) -> float: ...  # noqa: D102
    @property
    def best_trial(self) -> int | None: ...  # noqa: D102
    @property
    def best_value(self) -> float | None: ...  # noqa: D102
    @property
    def member_steps(self) -> int: ...  # noqa: D102


def _finished(status: SweepStatus) -> int:
    return status.complete + status.pruned + status.diverged + status.failed


def _trained(status: SweepStatus) -> float:
    """Trials that ended, and the shares of those in training."""
    return _finished(status) + status.begun


@dataclass
class StepRate:
    """Recent member-steps per second.

    Steps are reported in lumps, a cohort's interval at a time. So the rate is taken from lump to
    lump, over the lumps of the last `window_s` seconds and at least two; only when none has come
    for as long as those span does the silence count, and the rate falls. A count that falls is of
    an owner of the study that began again, and hears from one worker after the other how many they
    made: it counts once it is what it was, or after `window_s` as a new beginning.

    Args:
        window_s: How far back to look, in seconds.
    """

    window_s: float = 60.0
    _lumps: deque[tuple[float, int]] = field(default_factory=deque)  # time, steps made by then

    def observe(self, now: float, member_steps: int) -> None:
        """Take in the count of steps made so far by all members, those of earlier runs too."""
        if self._lumps:
            last, made = self._lumps[-1]
            is_less = member_steps < made
            if member_steps == made or (is_less and now - last <= self.window_s):
                return
            if is_less:
                self._lumps.clear()
        self._lumps.append((now, member_steps))
        while len(self._lumps) > 2 and self._lumps[1][0] <= now - self.window_s:
            self._lumps.popleft()

    def per_second(self, now: float) -> float | None:
        """The rate; None before the second lump."""
        if len(self._lumps) < 2:
            return None
        (begin, before), (end, after) = self._lumps[0], self._lumps[-1]
        span = end - begin
        if now - end > span:
            span = now - begin
        return (after - before) / span if span > 0 else None


@dataclass
class Eta:
    """Seconds until the last trial ends.

    Trials get on in groups, since a cohort trains in lockstep; a recent rate would swing between
    none and many. So the rate is trials finished per second since the display began (what earlier
    runs finished does not count), as it stood at the last rung, and the estimate counts down from
    there. Unknown before the first. When the time is up and trials are left, the rate has fallen
    meanwhile, and is taken anew. A trial that is pruned counts as a whole one, so it errs on the
    long side.
    """

    _begin: tuple[float, float] | None = None  # time and finished trials when it began
    _last: tuple[float, float] | None = None  # when more last finished

    def observe(self, now: float, finished: float) -> None:
        """Take in how many trials have finished, those of earlier runs and shares of them too."""
        if self._begin is None:
            self._begin = self._last = (now, finished)
        elif self._last is None or finished > self._last[1]:
            self._last = (now, finished)

    def left(self, now: float, total: int) -> float | None:
        """Seconds left; None while unknown."""
        if self._begin is None or self._last is None:
            return None
        (began, before), (last, finished) = self._begin, self._last
        if finished >= total:
            return 0.0
        if finished == before:
            return None
        per_trial = 1 / (finished - before)
        left = (total - finished) * (last - began) * per_trial - (now - last)
        return left if left > 0 else (total - finished) * (now - began) * per_trial


class Display:
    """Shows a sweep's progress between `with` and its end.

    On a terminal it stays in place and redraws itself; elsewhere (a file, a pipe, a notebook,
    TERM=dumb) it writes one plain line at most every `interval_s` seconds, when `update` is
    called, and a last one at the end.

    Args:
        total_trials: Trials that the sweep shall have; a status knows better.
        console: Where to write; default: standard error, so that standard output is the result's.
        objective: What the best value is of.
        interval_s: Seconds between plain lines.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        total_trials: int,
        console: Console | None = None,
        *,
        objective: str = "objective",
        interval_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total_trials
        self._console = console or Console(stderr=True)
        self._objective = objective
        self._interval_s = interval_s
        self._clock = clock
        self._begin = clock()
        self._status: SweepStatus | None = None
        self._rate, self._eta = StepRate(), Eta()
        self._next_line, self._unsaid = self._begin, False
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Begin to show; time counts from here."""
        self._begin = self._next_line = self._clock()
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console, get_renderable=self.render, refresh_per_second=4
            )
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state standing, and the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._unsaid:
            self._write_line()

    def update(self, status: SweepStatus) -> None:
        """Show `status` from now on; call it as often as you like."""
        now = self._clock()
        self._rate.observe(now, status.member_steps)
        self._eta.observe(now, _trained(status))
        self._status, self._unsaid = status, True
        if self._live is None and now >= self._next_line:
            self._next_line = now + self._interval_s
            self._write_line()

    def render(self) -> RenderableType:
        """The display as it stands now, for a terminal of any width."""
        status = self._status
        finished = _finished(status) if status else 0
        total = status.total if status else self._total
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True)
        head.add_row(
            ProgressBar(total=max(total, 1), completed=_trained(status) if status else 0),
            f"{finished}/{total} trials",
        )
        if status is None:
            return Group(head, Text(f"starting, {_duration(self._elapsed())}"))
        counts = [
            Text(f"{getattr(status, name)} {name}", style if getattr(status, name) else "dim")
            for name, style in _STYLES.items()
        ]
        facts = [Text(fact) for fact in self._facts(status)]
        return Group(head, _Flow(counts), _Flow(facts))

    def _write_line(self) -> None:
        """Write the state as one line of plain text, past all of rich's styling."""
        if (status := self._status) is None:
            return
        counts = ", ".join(f"{getattr(status, name)} {name}" for name in _STYLES)
        facts = ", ".join(self._facts(status))
        self._console.file.write(
            f"{_finished(status)} of {status.total} trials: {counts}; {facts}\n"
        )
        self._console.file.flush()
        self._unsaid = False

    def _facts(self, status: SweepStatus) -> list[str]:
        """What is known so far, each a few words."""
        now = self._clock()
        facts = [f"{_duration(self._elapsed())} elapsed"]
        if status.begun:
            facts.insert(0, f"{_trained(status) / max(status.total, 1):.0%} trained")
        left = self._eta.left(now, status.total)
        if left is None:
            facts.append("time left unknown")
        elif left > 0:
            facts.append(f"about {_duration(left)} left")
        if (rate := self._rate.per_second(now)) is not None:
            facts.append(f"{rate:,.0f} member-steps/s")
        if status.best_value is not None:
            best = f"{status.best_value:.4g} (trial {status.best_trial})"
            facts.append(f"best {self._objective} {best}")
        return facts

    def _elapsed(self) -> float:
        return self._clock() - self._begin


@dataclass(frozen=True)
class _Flow:
    """Pieces side by side, as many as a line holds, none of them broken."""

    pieces: Sequence[Text]
    gap: str = "  "

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text()
        for piece in self.pieces:
            if line and line.cell_len + len(self.gap) + piece.cell_len > options.max_width:
                yield line
                line = Text()
            line = Text.assemble(line, self.gap, piece) if line else piece
        yield line


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds: 0:04:05."""
    minutes, whole = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{whole:02}"
