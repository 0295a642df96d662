import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.service.client import Client


@pytest.fixture(autouse=True)
def _no_tokens(monkeypatch, tmp_path):
    for name in ("GANSWEEP_TOKEN", "GANSWEEP_VIEW_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--host", "0.0.0.0"],
            '--host = "0.0.0.0": others can reach this: GANSWEEP_TOKEN must hold a token',
        ),
        (["--host", "nowhere.invalid", "--no-ray"], "GANSWEEP_TOKEN must hold"),
        (["--storage", "s3://bucket/runs"], 'storage = "s3://bucket/runs": must be a directory'),
        (["--allow-factory", "os.system"], '--allow-factory = "os.system": must be package.module'),
        (["--address", "auto"], "must be the URL of a cluster's dashboard"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(run, words, says):
    code, out, err = run("serve", "--port", "0", *words)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert "token=" not in out


def test_a_short_token_is_refused_and_not_shown(run, monkeypatch):
    monkeypatch.setenv("GANSWEEP_TOKEN", "short!")
    code, _, err = run("serve", "--no-ray", "--port", "0")
    assert code == 2
    assert err == (
        "gansweep: token = \"...\": must be 16 to 256 of A-Z, a-z, 0-9, '.', '_', '~', '-'\n"
    )


def test_a_port_that_is_taken_is_named(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run("serve", "--no-ray", "--port", str(port))
    assert code == 2
    assert err.startswith(f'gansweep: --port = "{port}": cannot be listened on at 127.0.0.1')


def test_without_the_extra_its_name_is_said(run, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    code, _, err = run("serve")
    assert code == 1
    assert err == 'gansweep: the service needs uvicorn: pip install "gansweep[service]"\n'


def test_there_may_be_no_ray_to_stop(run):
    assert run("serve", "--stop-ray") == (0, "No Ray of the service's runs here.\n", "")


@pytest.mark.slow  # two services as processes, each with a reader that imports all of analysis
def test_a_service_begun_again_has_the_same_links_and_ends_when_asked_to(begun_sweep, tmp_path):
    begun_sweep("digits")
    links = []
    for ended_by in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeps", "serve", "--no-ray", "--port", "0"],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first, second = (process.stdout.readline().split()[-1] for _ in range(2))
        client, viewer = Client(first), Client(second)
        assert client.status("digits") == viewer.status("digits")
        with pytest.raises(ValueError, match="may only look"):
            viewer.stop("digits")
        links.append([link.partition("token=")[2] for link in (first, second)])
        readers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(ended_by)
        out, err = process.communicate(timeout=400)
        end = time.monotonic() + 60
        while any(Path(f"/proc/{reader}").exists() for reader in readers):
            assert time.monotonic() < end
            time.sleep(0.1)
    assert (out, err, process.returncode) == ("", "", 0)
    assert links[0] == links[1]
    assert links[0][0] != links[0][1]
