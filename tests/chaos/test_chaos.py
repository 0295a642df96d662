"""Every trial ends once and every member is what it would have been, whatever is killed.

All slow: a cluster begins in 20 s, and a sweep of 60 trials takes a minute. See the package.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import analysis

from .backends import BACKENDS
from .checking import differences, faults
from .cluster import begun_cluster
from .evidence import Evidence, newest, rows_of
from .hurt import ASKED, run_hurt, write_config
from .schedule import drawn
from .undisturbed import undisturbed

pytestmark = pytest.mark.slow

RECORD = "CHAOS_RECORD"
IN_CI = {(0, "directory"), (2, "s3"), (3, "postgresql")}
RUNS = [
    pytest.param(seed, backend, marks=() if (seed, backend) in IN_CI else pytest.mark.chaos)
    for backend in BACKENDS
    for seed in range(10)
]


@pytest.fixture(scope="module")
def backend(request, tmp_path_factory):
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as backend:
        yield backend


@pytest.fixture(scope="module")
def cluster(backend, tmp_path_factory):
    with begun_cluster(tmp_path_factory.mktemp("home"), dict(backend.variables)) as cluster:
        yield cluster


@pytest.mark.parametrize(("seed", "backend"), RUNS, indirect=["backend"])
def test_nothing_is_lost_repeated_or_changed(
    cluster, backend, seed, tmp_path, monkeypatch, request
):
    for variable, value in backend.variables.items():
        monkeypatch.setenv(variable, value)
    name = f"hurt-{seed}"
    write_config(tmp_path / "sweep.toml", backend, name, keep_s=0 if seed % 2 else 1)
    record = {"backend": request.node.callspec.params["backend"], "seed": seed}
    began, before = time.monotonic(), Counter(backend.requests)
    events = run_hurt(cluster, backend, name, tmp_path, drawn(seed))
    record |= {"events": events, "seconds": round(time.monotonic() - began, 1)}
    record |= {"requests": dict(backend.requests - before)}
    evidence = gathered(backend, name)
    found = faults(ASKED, evidence)
    again = undisturbed(tmp_path / "sweep.toml", evidence.trials, evidence.history)
    found += differences(evidence.history, again)
    note(record | tally(evidence) | {"faults": found})
    assert found == []
    assert set(again) == ASKED.members()
    loaded = analysis.load(backend.uri(name))
    same(loaded.trials, evidence.trials)
    same(loaded.history, evidence.history)
    same(loaded.samples, evidence.samples)


def gathered(backend, name):
    place, filesystem = backend.place(name), backend.filesystem
    ended = rows_of(place, filesystem, "trials")
    networks = [Path(path).stem.split("-") for path in backend.parts(name, "checkpoints")]
    return Evidence(
        trials=newest(ended, ended),
        history=newest(rows_of(place, filesystem, "history"), ended),
        samples=newest(rows_of(place, filesystem, "samples"), ended),
        study=backend.told(name),
        ends=backend.ends(name),
        networks=frozenset((int(words[1]), int(words[3])) for words in networks),
    )


def tally(evidence):
    """How much the kills came to."""
    return {
        "outcomes": evidence.trials["status"].value_counts().to_dict(),
        "rungs": len(evidence.history),
        "trials_begun_again": int((evidence.trials.groupby("trial")["attempt"].max() > 0).sum()),
    }


def same(loaded, read):
    columns = [name for name in read if name != "sweep"]
    pd.testing.assert_frame_equal(
        loaded[columns].reset_index(drop=True), read[columns], check_dtype=False
    )


def note(line):
    if RECORD in os.environ:
        with Path(os.environ[RECORD]).open("a") as file:
            file.write(json.dumps(line) + "\n")
