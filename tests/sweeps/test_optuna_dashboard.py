"""Optuna's own dashboard opens the study as a sweep leaves it."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("optuna_dashboard")
PROGRAM = Path(sys.executable).with_name("optuna-dashboard")


@pytest.fixture
def ask(small_sweep, tmp_path):
    """Asks the dashboard of a copy of the study."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    study = shutil.copy(small_sweep / "study.journal", tmp_path)
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen([PROGRAM, "--port", str(port), study], stdout=log, stderr=log) as process,
    ):
        try:
            yield lambda path: answer(process, f"http://127.0.0.1:{port}/{path}", tmp_path / "log")
        finally:
            process.terminate()


def answer(process, url, log, limit_s=120):
    end = time.monotonic() + limit_s
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)
        except urllib.error.URLError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_it_shows_every_trial_with_its_state_and_what_was_chosen(ask):
    (study,) = ask("api/studies")["study_summaries"]
    assert study["directions"] == ["minimize"]
    trials = ask(f"api/studies/{study['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete"] * 4 + ["Pruned"] * 2
    assert {"lr_g", "loss"} <= {param["name"] for param in trials[0]["params"]}
    assert trials[0]["intermediate_values"]
