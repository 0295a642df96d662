"""Measurements that were never made, with figures that can be reckoned in the head."""

import pytest

from benchmarks.results import Key, Record, Results

SESSION = {
    "date": "2026-01-02 03:04 UTC",
    "processor": "CPU (family 1, AVX2)",
    "cores": 2,
    "memory_gib": 8,
    "device": "cpu",
    "gpu": None,
    "system": "Linux x86_64",
    "python": "3.11.1",
    "versions": {"torch": "2.6", "ray": "2.50"},
    "commit": "0123456789",
    "threads": "OMP_NUM_THREADS=1 in every process",
    "priority": "niceness 0, of Ray's workers 15",
    "load_before": [0.5, 1.0, 1.0],
    "load_after": [1.5, 1.0, 1.0],
}


def speed(per_s, flops=1):
    return {"per_s": per_s, "flops": flops, "peak_mib": 100, "wall_s": 1.0, "cpu_s": 1.0}


def search(trials, wall_s, improvements=((1.0, 9.0),), begin_s=0.0, **more):
    return {
        "trials": trials,
        "wall_s": wall_s,
        "begin_s": begin_s,
        "trained_steps": 100 * trials,
        "peak_mib": 1000,
        "improvements": [list(pair) for pair in improvements],
        **more,
    }


SHARES = {
    "training": 0.8, "evaluation": 0.05, "storage": 0.02, "exchange": 0.02, "between": 0.01,
    "start": 0.08, "end": 0.02,
}  # fmt: skip


@pytest.fixture
def results():
    """Three turns of speeds, two of searches, and a failure."""
    found = Results([SESSION])

    def add(figure, contender, variant, turns, case="digits"):
        key = Key(figure=figure, case=case, contender=contender, variant=variant)
        found.records += [
            Record(key=key, session=0, turn=turn, values=values)
            for turn, values in enumerate(turns)
        ]

    # In the second turn something slowed both; in the third it slowed one of them.
    add("rates", "matmul", "", [speed(10, 100)] * 3)
    add("rates", "solo", "", [speed(100), speed(50), speed(100)])
    add("rates", "gansweep", "K=32", [speed(500), speed(250), speed(200)])
    add("rates", "gansweep", "K=32 bfloat16", [speed(700), speed(350), speed(700)])
    add("sweeps", "stock", "", [search(16, 170, begin_s=10), search(16, 330, begin_s=10)])
    add("sweeps", "gansweep", "", [search(64, 65), search(64, 65)])
    seen = [(30.0, 9.0), (60.0, 5.0)]
    add("sweeps", "gansweep", "all in flight", [search(64, 32.5), search(64, 32.5)])
    add("target", "stock", "ASHA", [search(64, 120, seen), search(64, 120, seen)])
    own = [(10.0, 7.0), (20.0, 4.0)]
    add("target", "gansweep", "", [search(64, 50, own), search(64, 50, own)])
    many = [(5.0, 8.0), (12.0, 5.0), (40.0, 3.0)]
    add("target", "gansweep", "512 trials", [search(512, 100, many), search(512, 100, many)])
    add("overhead", "gansweep", "64 slots", [search(256, 100, shares=SHARES)])
    broken = Key(figure="rates", case="digits", contender="gansweep", variant="K=256")
    found.records.append(Record(key=broken, session=0, turn=0, error="too little memory"))
    return found
