"""How long workers wait for the owner of a long study: `python -m benchmarks.exchange`.

A real Ray of a head and four nodes on this machine, the real owner as its actor, on the journal of
a study that has 5,000 trials behind it, and workers that make real exchanges but sleep for the time
that an interval of training would take. Prints JSON: the latency of exchanges, with new trials in
the reply and without, the share of their time that workers wait and that slots stand empty, and
the share of a core that the owner and its driver take.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_seconds, processes, title
from benchmarks.session import Session, latency
from sweeps.config import SweepConfig
from sweeps.config_file import load_config
from sweeps.plan import Plan
from sweeps.protocol import Assignment, Final, Outcome, RungReport
from sweeps.ray_driver import DRIVER_VARIABLES, NAMESPACE, environment

__all__ = ["measure", "prefill"]

_STATUS_EVERY_S = 0.5  # as the driver of a sweep asks
_MARGIN_S = 120.0
_OWNER = "ray::FencedStudyOwner"


def prefill(journal: Path, trials: int) -> None:
    """Writes a study of the preset `digits` in which so many trials have ended.

    Their hyperparameters are drawn at random, and their values; half of them end at each pruning
    rung, as the pruner would have it.
    """
    from sweeps.space import Space
    from sweeps.study import StudyOwner

    config = load_config(
        None, [f"search.trials={trials}", "search.sampler=random", "search.pruner=none"]
    )
    owner = StudyOwner(config.settings(max_in_flight=100), Space(config).suggest, journal, "past")
    rng = random.Random(0)
    while not owner.status().done:
        given = owner.exchange("w", (), (), (), 100).refills
        reports: list[RungReport] = []
        finals: list[Final] = []
        for assignment in given:
            last = rng.choice([200, 200, 200, 200, 500, 500, 1000, config.train.steps])
            steps = range(config.train.eval_every, last + 1, config.train.eval_every)
            reports += [RungReport(assignment.trial, s, _value(assignment, s), 0) for s in steps]
            outcome = Outcome.COMPLETE if last == config.train.steps else Outcome.PRUNED
            finals.append(Final(assignment.trial, outcome, 0))
        owner.exchange("w", (), reports, finals, 0)


def _value(assignment: Assignment, step: int) -> float:
    """Learnable, and so noisy that a good half of all trials is ended early."""
    noise = random.Random(f"{assignment.trial}/{step}").lognormvariate(0, 0.5)
    return noise * (abs(float(assignment.hyperparameters["lr_g"]) - 1e-3) * 1e3 + 500 / step)


class _Worker:
    """Speaks the protocol as a worker does, and sleeps instead of training."""

    def __init__(self, name: str, trials: int, config: SweepConfig, rate: float) -> None:
        self._name, self._trials, self._rate = name, trials, rate
        self._train = config.train

    def run(self, owner: Any, seconds: float) -> dict[str, Any]:
        """Trains for so long; what each exchange took, and how full the slots were."""
        import ray

        held: dict[int, tuple[Assignment, int]] = {}
        finals: list[Final] = []
        log: list[tuple[float, int]] = []
        idle_trials_s = 0.0
        every, first = self._train.eval_every, True
        begin = end = time.monotonic()
        while end - begin < seconds:
            interval_s = max(1, len(held)) * self._train.seeds * every / self._rate
            time.sleep(interval_s)
            held = {trial: (given, step + every) for trial, (given, step) in held.items()}
            reports = [
                RungReport(t, step, _value(given, step), 0) for t, (given, step) in held.items()
            ]
            trained = [trial for trial, (_, step) in held.items() if step >= self._train.steps]
            finals += [Final(trial, Outcome.COMPLETE, 0) for trial in trained]
            for trial in trained:
                del held[trial]
            while True:
                asked = time.monotonic()
                want = self._trials - len(held)
                reply = ray.get(
                    owner.exchange.remote(self._name, tuple(held), reports, tuple(finals), want)
                )
                took = time.monotonic() - asked
                if not first:
                    log.append((took, len(reply.refills)))
                reports, finals = [], []
                for trial in (*reply.prune, *reply.dropped):
                    held.pop(trial, None)
                finals += [Final(trial, Outcome.PRUNED, 0) for trial in reply.prune]
                held |= {given.trial: (given, 0) for given in reply.refills}
                if not finals:
                    break
            end = time.monotonic()
            if first:  # fills the slots of the whole sweep at once, which happens once
                first, begin = len(held) < self._trials, end
            else:
                idle_trials_s += interval_s * (self._trials - len(held))
        return {"exchanges": log, "seconds": end - begin, "idle_trials_s": idle_trials_s}


def measure(
    *, past: int, nodes: int, workers: int, slots: int, rate: float, seconds: float
) -> dict[str, Any]:
    """All figures.

    Args:
        past: trials that have ended before.
        nodes: of the cluster, beside its head.
        workers: on each node.
        slots: members over all workers.
        rate: G updates per second and worker, over all its members.
        seconds: of exchanges.
    """
    config = load_config(None, [f"search.trials={2 * past + 10_000}"])
    trials = slots // (nodes * workers) // config.train.seeds
    plan = Plan(
        workers=nodes * workers,
        slots=trials * config.train.seeds,
        device="cpu",
        gpus=0,
        max_in_flight=trials * nodes * workers,
        estimated_bytes_per_worker=None,
    )
    folder = Path(tempfile.mkdtemp(prefix="gansweep-", dir="/tmp"))
    try:
        journal = folder / "sweep" / "study.journal"
        begin = time.monotonic()
        prefill(journal, past)
        prefilled_s, size = time.monotonic() - begin, journal.stat().st_size
        with _cluster(folder / "ray", nodes, workers):
            measured = _run(config, plan, journal, trials, rate, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "past_trials": past,
        "slots": plan.slots * plan.workers,
        "workers": plan.workers,
        "nodes": nodes,
        "member_steps_per_s_of_a_worker": rate,
        "prefill_s": prefilled_s,
        "journal_mib": size / 2**20,
        **measured,
    }


def _run(
    config: SweepConfig, plan: Plan, journal: Path, trials: int, rate: float, seconds: float
) -> dict[str, Any]:
    import ray

    from sweeps.owner import end_owner, own_study

    begin = time.monotonic()
    owner = own_study(config, plan, journal)
    before = ray.get(owner.status.remote())
    opened_s = time.monotonic() - begin
    worker = ray.remote(_Worker).options(num_cpus=1, scheduling_strategy="SPREAD")
    team = [worker.remote(f"w{i}", trials, config, rate) for i in range(plan.workers)]
    begun, used = time.monotonic(), _cpu_seconds()
    waiting: list[float] = []
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(owner, waiting, over))
    watcher.start()
    runs = ray.get([member.run.remote(owner, seconds) for member in team], timeout=_MARGIN_S * 4)
    over.set()
    watcher.join()
    wall = time.monotonic() - begun
    cores = {name: (after - used[name]) / wall for name, after in _cpu_seconds().items()}
    after = ray.get(owner.status.remote())
    end_owner(owner)
    log = [exchange for run in runs for exchange in run["exchanges"]]
    worked = sum(run["seconds"] for run in runs)
    return {
        "owner_opened_s": opened_s,
        "seconds": wall,
        "trials_ended": after.finished - before.finished,
        "trials_begun_per_s": sum(count for _, count in log) / (worked / len(runs)),
        "exchanges_with_new_trials": latency([took for took, count in log if count]),
        "exchanges_without": latency([took for took, count in log if not count]),
        "status": latency(waiting),
        "waiting_share": sum(took for took, _ in log) / worked,
        "empty_slots_share": sum(run["idle_trials_s"] for run in runs) / (worked * trials),
        "cores_used": cores,
    }


def _watch(owner: Any, waiting: list[float], over: threading.Event) -> None:
    """Asks where the sweep stands, as its driver does."""
    import ray

    while not over.wait(_STATUS_EVERY_S):
        asked = time.monotonic()
        ray.get(owner.status.remote())
        waiting.append(time.monotonic() - asked)


def _cpu_seconds() -> dict[str, float]:
    """That the owner and this process, the driver, have used."""
    owners = [process for process in processes() if title(process).startswith(_OWNER)]
    return {"driver": time.process_time(), "owner": cpu_seconds(owners)}


@contextmanager
def _cluster(folder: Path, nodes: int, cpus: int) -> Iterator[None]:
    # By Ray's default its processes give way to all others of the machine: on one that has nothing
    # else to do that makes no difference, here it would measure the others.
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    access["RAY_worker_niceness"] = "0"
    folder.mkdir()
    with environment(DRIVER_VARIABLES | access):
        import ray
        from ray.cluster_utils import Cluster

        shared = {"temp_dir": str(folder), "include_dashboard": False}
        cluster = Cluster()
        try:
            cluster.add_node(num_cpus=0, **shared, dashboard_agent_listen_port=_free_port())
            for _ in range(nodes):
                cluster.add_node(
                    num_cpus=cpus, temp_dir=str(folder), dashboard_agent_listen_port=_free_port()
                )
            ray.init(address=cluster.address, namespace=NAMESPACE, log_to_driver=False)
            yield
        finally:
            ray.shutdown()
            cluster.shutdown()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--past", type=int, default=5000, help="trials that have ended before")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="on each node")
    parser.add_argument("--slots", type=int, default=200, help="over all workers")
    parser.add_argument(
        "--rate", type=float, default=4000, help="G updates per second of a worker, of its members"
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, help="file that the JSON is written to, too")
    given = parser.parse_args()
    session = Session()
    measured = measure(
        past=given.past,
        nodes=given.nodes,
        workers=given.workers,
        slots=given.slots,
        rate=given.rate,
        seconds=given.seconds,
    )
    session.tell(given.out, exchange=measured)


if __name__ == "__main__":
    main()
