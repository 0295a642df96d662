"""What the service bears and what it costs a sweep: `python -m benchmarks.serving [--out FILE]`.

Fills a storage with copies of a sweep of 500 trials, serves it, runs another sweep in it that takes
all cores, and lets clients watch as the pages do: each asks for its parts every two or six seconds
with the tags of what it has, and opens a page anew now and then. First it says what memory the
service takes before that sweep begins, when nothing that it shows grows; then how long they wait
and what memory and share of the machine the service takes, which the sweep then lacks; then clients
and service are stopped and let go on by turns, and what the sweep gets done with and without them
is compared: a turn of less than some minutes has one renewal of the page more or less. Prints
JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow.dataset as ds

from benchmarks.processes import anonymous_bytes, cpu_seconds, descendants, sweeps_environment
from benchmarks.session import Session, latency

__all__ = ["Watchers", "fill", "measure"]

_EVERY_S = 2.0  # as `data-every` of the pages' lists and heads
_SELDOM_S = 6.0  # and of what is below a head
_OPENS_EVERY_S = 30.0
_SETTLES_S = 20.0
_CORES = os.cpu_count() or 1
_TINY = (
    "data.dataset=ring8",
    "train.steps=200",
    "train.eval_every=20",
    "train.eval_images=100",
    "train.keep_weights=none",
    "model.generator_widths=[8]",
    "model.discriminator_widths=[8]",
    "resources.slots=64",
)
_RUNNING = ("search.trials=100000", "search.max_in_flight=64", "train.keep_weights=none")


def fill(storage: Path, sweeps: int, trials: int, template: Path | None) -> None:
    """Puts so many sweeps of so many trials into a storage: copies of one that is really run."""
    first = storage / "s000"
    if template is not None:
        shutil.copytree(template, first)
    else:
        changes = [f"--set={change}" for change in (*_TINY, f"search.trials={trials}")]
        subprocess.run(
            [*_sweeps("run"), "--name", "s000", "--storage", storage, *changes],
            check=True,
            stdout=subprocess.DEVNULL,
            env=sweeps_environment(),
        )
    shutil.rmtree(first / "logs", ignore_errors=True)
    for number in range(1, sweeps):
        shutil.copytree(first, storage / f"s{number:03d}")


def _sweeps(*words: str) -> list[str]:
    return [sys.executable, "-m", "sweeps", *words]


class Watchers:
    """People with a page open, each over a connection of its own.

    Args:
        port: of the service on this machine.
        token: of it.
        count: a half watches the list; of the others each second the sweep that runs.
        finished: the names of the sweeps that do not.
        is_running: whether there is one that runs; they watch another else.
    """

    def __init__(
        self, port: int, token: str, count: int, finished: list[str], *, is_running: bool = True
    ) -> None:
        self._port, self._token, self._count, self._finished = port, token, count, finished
        self._is_running = is_running
        self.waits: dict[str, list[float]] = defaultdict(list)
        """Seconds, by what was asked for."""
        self.statuses: dict[int, int] = defaultdict(int)

    async def watch(self, seconds: float) -> None:
        """All of them, for so long."""
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._client(number, end) for number in range(self._count)))

    async def _client(self, number: int, end: float) -> None:
        rng = random.Random(number)
        await asyncio.sleep(rng.uniform(0, _EVERY_S))
        takes_running = self._is_running and number % 4 == 1
        sweep = "running" if takes_running else self._finished[number % len(self._finished)]
        page, parts = ("/", ["/parts/sweeps"]) if number % 2 == 0 else _sweep(sweep)
        kind = "list" if number % 2 == 0 else "running" if sweep == "running" else "finished"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        tags: dict[str, str] = {}
        opens = time.monotonic() + rng.uniform(0, _OPENS_EVERY_S)
        due = dict.fromkeys(parts, 0.0)
        while time.monotonic() < end:
            if time.monotonic() >= opens:
                opens = time.monotonic() + _OPENS_EVERY_S
                await self._get(reader, writer, f"{kind} page", page, {})
            for part in parts:
                if time.monotonic() < due[part]:
                    continue
                name = part.rpartition("/")[2]
                await self._get(reader, writer, f"{kind} {name}", part, tags)
                seldom = name in ("body", "charts")
                due[part] = time.monotonic() + (_SELDOM_S if seldom else _EVERY_S)
            await asyncio.sleep(max(0.0, min(due.values()) - time.monotonic()))
        writer.close()

    async def _get(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str, path: str,
        tags: dict[str, str],
    ) -> None:  # fmt: skip
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self._token}"]
        lines += ["Accept-Encoding: gzip"]
        lines += [f"If-None-Match: {tags[path]}"] if path in tags else []
        asked = time.monotonic()
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.strip().split("\r\n")
        named = {k.lower(): v for k, _, v in (field.partition(": ") for field in fields)}
        if "etag" in named:
            tags[path] = named["etag"]
        await reader.readexactly(int(named.get("content-length", 0)))
        self.waits[what].append(time.monotonic() - asked)
        self.statuses[int(first.split()[1])] += 1


def _sweep(name: str) -> tuple[str, list[str]]:
    """Its page and the parts that the page asks for."""
    return f"/sweeps/{name}", [f"/sweeps/{name}/parts/{p}" for p in ("head", "body", "charts")]


def measure(
    *, sweeps: int, trials: int, clients: int, warm_s: float, still_s: float, seconds: float,
    turns: int, turn_s: float, template: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """All figures.

    Args:
        sweeps: in the storage, beside the one that runs.
        trials: of each.
        clients: that watch.
        warm_s: of watching first, in which all is made that nobody has looked at yet; once more
            when the sweep has begun.
        still_s: of watching then, while no sweep runs.
        seconds: of watching, for waits and memory.
        turns: with and without the service.
        turn_s: how long each is.
        template: a sweep to copy instead of one that is run first.
    """
    with tempfile.TemporaryDirectory(prefix="gansweep-") as folder:
        storage = Path(folder) / "runs"
        storage.mkdir()
        fill(storage, sweeps, trials, template)
        finished = sorted(path.name for path in storage.iterdir())
        with _served(storage) as (service, port, token):
            cold = Watchers(port, token, clients, finished, is_running=False)
            asyncio.run(cold.watch(warm_s))
            idle = Watchers(port, token, clients, finished, is_running=False)
            still = _watch(idle, still_s, service)
            with _sweeping(storage) as sweep:
                asyncio.run(Watchers(port, token, clients, finished).watch(warm_s))
                watchers = Watchers(port, token, clients, finished)
                watched = _watch(watchers, seconds, service)
                cost = _by_turns(Watchers(port, token, clients, finished), service, sweep, storage,
                                 turns, turn_s)  # fmt: skip
    return {
        "sweeps": sweeps,
        "trials": trials,
        "clients": clients,
        "asked": f"each {_EVERY_S:g} or {_SELDOM_S:g} s after an answer, as the pages do; "
        f"a page in {_OPENS_EVERY_S:g} s",
        "at_first": {what: latency(waits) for what, waits in sorted(cold.waits.items())},
        "still": still,
        "watched": watched,
        "cost": cost,
    }


@contextlib.contextmanager
def _served(storage: Path) -> Iterator[tuple[int, int, str]]:
    """A service: (its process, port, token)."""
    state = {"XDG_STATE_HOME": str(storage.parent / "state")}
    process = subprocess.Popen(
        _sweeps("serve", "--no-ray", "--port", "0", "--storage", str(storage)),
        stdout=subprocess.PIPE,
        text=True,
        env=sweeps_environment() | state,
    )
    try:
        assert process.stdout is not None
        link = urlsplit(process.stdout.readline().split()[-1])
        assert link.port is not None
        yield process.pid, link.port, parse_qs(link.query)["token"][0]
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        process.wait(60)


@contextlib.contextmanager
def _sweeping(storage: Path) -> Iterator[int]:
    """A sweep that takes all cores: its driver's process."""
    changes = [f"--set={change}" for change in _RUNNING]
    log = storage.parent / "running.log"
    with log.open("w") as printed:
        process = subprocess.Popen(
            [*_sweeps("run"), "--name", "running", "--storage", storage, *changes],
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=sweeps_environment(),
        )
    try:
        while not list((storage / "running").glob("trials/*.parquet")):
            if process.poll() is not None:
                raise RuntimeError(log.read_text()[-2000:])
            time.sleep(0.5)
        time.sleep(_SETTLES_S)
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)


def _watch(watchers: Watchers, seconds: float, service: int) -> dict[str, Any]:
    """How long the clients wait, and what the service takes meanwhile."""
    memory: list[tuple[float, float, float]] = []
    begun, used, own = time.monotonic(), cpu_seconds([service]), time.process_time()
    read = cpu_seconds(descendants(service))

    async def look() -> None:
        while time.monotonic() - begun < seconds:
            own, readers = anonymous_bytes(service), map(anonymous_bytes, descendants(service))
            memory.append((time.monotonic() - begun, own / 2**20, sum(readers) / 2**20))
            await asyncio.sleep(2)

    async def both() -> None:
        await asyncio.gather(watchers.watch(seconds), look())

    asyncio.run(both())
    wall = time.monotonic() - begun
    taken = cpu_seconds([service]) - used + cpu_seconds(descendants(service)) - read
    return {
        "seconds": wall,
        "share_of_machine": taken / wall / _CORES,
        "requests_per_s": sum(map(len, watchers.waits.values())) / wall,
        "statuses": dict(watchers.statuses),
        "waits": {what: latency(waits) for what, waits in sorted(watchers.waits.items())},
        "cores_used": {
            "service": (cpu_seconds([service]) - used) / wall,
            "reader": (cpu_seconds(descendants(service)) - read) / wall,
            "clients": (time.process_time() - own) / wall,
        },
        "memory": {
            name: _growth([(row[0], row[place]) for row in memory])
            for place, name in ((1, "service"), (2, "reader"))
        },
    }


def _growth(series: list[tuple[float, float]]) -> dict[str, float]:
    """Own memory from the first third on, when what is kept has been made."""
    settled = [mib for at, mib in series if at >= series[-1][0] / 3]
    third = max(1, len(settled) // 3)
    first, last = statistics.median(settled[:third]), statistics.median(settled[-third:])
    return {"mib_at_first": first, "mib_at_last": last, "grown_mib": last - first,
            "mib_most": max(mib for _, mib in series)}  # fmt: skip


def _by_turns(
    watchers: Watchers, service: int, sweep: int, storage: Path, turns: int, turn_s: float
) -> dict[str, Any]:
    """What the sweep gets done while the service is stopped, and while it is watched."""
    rows: list[dict[str, float]] = []
    for turn in range(2 * turns):
        is_watched = turn % 2 == 1
        team = [service, *descendants(service)]
        for process in team:
            os.kill(process, signal.SIGCONT if is_watched else signal.SIGSTOP)
        marks = [_marks(team, sweep, storage)]
        if is_watched:
            asyncio.run(watchers.watch(turn_s))
        else:
            time.sleep(turn_s)
        marks.append(_marks([service, *descendants(service)], sweep, storage))
        rows.append({key: marks[1][key] - marks[0][key] for key in marks[0]})
    for process in [service, *descendants(service)]:
        os.kill(process, signal.SIGCONT)
    without, watched = rows[::2], rows[1::2]

    def per_s(some: list[dict[str, float]], key: str) -> float:
        return statistics.median(row[key] / row["wall_s"] for row in some)

    return {
        "turns": turns,
        "turn_s": turn_s,
        "member_steps_per_s": {
            "without": per_s(without, "steps"),
            "watched": per_s(watched, "steps"),
        },
        "slowed_by": 1 - per_s(watched, "steps") / per_s(without, "steps"),
        "sweep_cores": {"without": per_s(without, "sweep_s"), "watched": per_s(watched, "sweep_s")},
        "service_share_of_machine": per_s(watched, "service_s") / _CORES,
        "clients_share_of_machine": per_s(watched, "clients_s") / _CORES,
        "rows": rows,
    }


def _marks(team: list[int], sweep: int, storage: Path) -> dict[str, float]:
    return {
        "wall_s": time.monotonic(),
        "steps": _steps(storage / "running"),
        "sweep_s": cpu_seconds([sweep, *descendants(sweep)]),
        "service_s": cpu_seconds(team),
        "clients_s": time.process_time(),
    }


def _steps(directory: Path) -> float:
    """Generator updates of all members so far, as the history has them."""
    for _ in range(10):
        with contextlib.suppress(FileNotFoundError):  # parts were compacted meanwhile
            table = ds.dataset(directory / "history").to_table(columns=["interval_steps"])
            return float(sum(table["interval_steps"].to_pylist()))
    raise RuntimeError(f"{directory}: its history goes faster than it can be read")


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=100)
    parser.add_argument("--trials", type=int, default=500, help="of each")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--warm-seconds", type=float, default=60, help="of watching before that")
    parser.add_argument("--still-seconds", type=float, default=300, help="without a sweep")
    parser.add_argument("--seconds", type=float, default=600, help="of watching")
    parser.add_argument("--turns", type=int, default=5, help="with and without the service")
    parser.add_argument("--turn-seconds", type=float, default=60)
    parser.add_argument("--template", type=Path, help="a sweep to copy; else one is run first")
    parser.add_argument("--out", type=Path, help="file that the JSON is written to, too")
    given = parser.parse_args()
    session = Session()
    measured = measure(
        sweeps=given.sweeps,
        trials=given.trials,
        clients=given.clients,
        warm_s=given.warm_seconds,
        still_s=given.still_seconds,
        seconds=given.seconds,
        turns=given.turns,
        turn_s=given.turn_seconds,
        template=given.template,
    )
    session.tell(given.out, serving=measured)


if __name__ == "__main__":
    main()
