"""The service as a process, with a real Ray of its own.

Slow: a Ray with its dashboard takes ten seconds of a core to begin, and workers import torch.
"""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import analysis
from sweeps.service.client import Client
from sweeps.service.own_folder import OwnFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("aiohttp") is None, reason="needs ray[default]"),
]

LIMIT_S = 300
SMALL = {
    "name": "first",
    "train": {"steps": 400, "eval_every": 20, "eval_images": 100},
    "model": {"generator_widths": [16], "discriminator_widths": [16]},
    "space": {"lr_g": {"low": 1e-5, "high": 1e-2, "log": True}, "lr_d": 1e-3, "loss": "hinge"},
    "search": {"trials": 10},
    "resources": {"workers": 1},
}


@pytest.fixture
def environment(tmp_path):
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("RAY_", "GANSWEEP_"))}
    return inherited | {
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        # Of a busy machine, where Ray's processes wait for all others by its default.
        "RAY_worker_register_timeout_seconds": "120",
        "RAY_worker_niceness": "0",
    }


@pytest.fixture
def serve(tmp_path, environment):
    """Begins services as processes: () -> (process, client)."""
    begun = []

    def call():
        with (tmp_path / "serve.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sweeps", "serve", "--port", "0"],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        begun.append(process)
        link = process.stdout.readline().split()[-1]
        client = Client(link)
        until(lambda: answers(client))
        return process, client

    yield call
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()
    stop = [sys.executable, "-m", "sweeps", "serve", "--stop-ray"]
    done = subprocess.run(stop, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def until(condition):
    end = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def sound(state, wanted):
    assert state["state"] != "failed", state["message"]
    return state if wanted(state) else None


def answers(client):
    with contextlib.suppress(Exception):
        client.sweeps()
        return True


def drivers(storage):
    """Processes that run sweeps of a storage."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0")
            is_run = b"--or-resume" in words
            if is_run and str(storage).encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


@pytest.fixture
def another_ray():
    """Takes the port that a Ray's agent listens on unless it is told another."""
    with socket.socket() as held:
        with contextlib.suppress(OSError):  # there really is another
            held.bind(("", 52365))
            held.listen()
        yield


def test_a_sweep_does_not_notice_that_its_service_was_killed_and_the_next_finds_it(
    another_ray, serve, tmp_path
):
    process, client = serve()
    assert client.submit(SMALL)[1]
    state = until(lambda: sound(client.status("first"), lambda now: now["ended"]))
    assert state["state"] == "running"
    (driver,) = drivers(tmp_path)
    process.kill()
    process.wait()
    begun = time.monotonic()
    _, again = serve()
    found = again.status("first")
    assert time.monotonic() - begun < 60
    assert found["ended"] >= state["ended"]
    if found["state"] == "running":
        assert drivers(tmp_path) == [driver]
    done = until(lambda: sound(again.status("first"), lambda now: now["state"] == "done"))
    assert (done["ended"], done["begun_by"]) == (10, "job")
    trials = again.trials("first")
    assert trials["trial"].nunique() == 10
    assert set(trials["attempt"]) == {0}
    assert len(trials) == len(analysis.load(tmp_path / "runs" / "first").trials)
    assert again.submit(SMALL)[1] is False
    # At once: Ray may not have noticed yet that the first job is over.
    again.extend("first", 5)
    more = until(lambda: sound(again.status("first"), lambda now: now["ended"] == 15))
    assert more["trials"] == 15
    until(lambda: sound(again.status("first"), lambda now: now["state"] == "done"))
    assert set(again.trials("first")["attempt"]) == {0}


def test_a_ray_that_nobody_needs_ends_by_itself_and_leaves_nothing(tmp_path, environment):
    folder = OwnFolder(tmp_path / "own")
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeps.service.head", str(folder.path), "0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    temporary = until(
        lambda: (
            (folder.path / "head.json").exists()
            and Path(json.loads((folder.path / "head.json").read_text())["temporary"])
        )
    )
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    assert not (folder.path / "head.json").exists()
    assert not temporary.exists()
    assert not folder.is_held("head.lock")
