"""What the commands of clusters see to by themselves; the rest is in test_cluster."""

import subprocess
import sys
import time

import pytest

from sweeps.cli import main

AT = ["--address", "http://127.0.0.1:9"]


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "sweep.toml"]) == 0
    return tmp_path / "sweep.toml"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--storage", "/mnt/sweeps"], "name = (not given): must be given"),
        (["--name", "a"], 'storage = "runs": must be an absolute path that all nodes share'),
        (["--name", "../a", "--storage", "/mnt"], "--name: name ="),
    ],
)
def test_a_submitted_sweep_has_a_name_and_a_place_that_all_share(config, capsys, options, expected):
    assert main(["submit", "sweep.toml", *AT, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


@pytest.mark.parametrize("command", ["submit", "logs", "list", "fetch"])
def test_these_need_an_address(config, capsys, monkeypatch, command):
    monkeypatch.delenv("GANSWEEP_ADDRESS", raising=False)
    assert main([command, *([] if command == "list" else ["sweep.toml"])]) == 2
    assert "Missing option '--address'" in capsys.readouterr().err


def test_fetching_does_not_replace_a_sweep_that_was_run_here(own_sweep, capsys):
    assert main(["fetch", "small", *AT, "--out", str(own_sweep.parent)]) == 2
    assert "was not fetched" in capsys.readouterr().err
    assert (own_sweep / "sweep.toml").exists()


def test_stopping_what_nobody_runs_is_said(own_sweep, capsys):
    assert main(["stop", str(own_sweep)]) == 2
    assert "no process of this machine runs it" in capsys.readouterr().err


def test_stop_asks_the_process_that_runs_the_sweep_and_waits_for_it(own_sweep, capsys):
    program = """
import signal, sys, time
from pathlib import Path
from sweeps.lock import SweepLock
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
with SweepLock(Path(sys.argv[1])):
    print("running", flush=True)
    while not asked:
        time.sleep(0.05)
    time.sleep(0.5)
"""
    command = [sys.executable, "-c", program, str(own_sweep)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        began = time.monotonic()
        assert main(["stop", str(own_sweep)]) == 0
        assert time.monotonic() - began >= 0.4
    assert process.returncode == 0
    assert "small: stopped; `gansweep resume" in capsys.readouterr().out
