"""A service on a real socket, in a thread of this process."""

import asyncio
import faulthandler
import http.client
import json
import shutil
import sys
import threading
import time

import pytest
import uvicorn

from sweeps.jobs import Job
from sweeps.service.app import make_app
from sweeps.service.launching import NoLauncher
from sweeps.service.server import configured
from sweeps.service.settings import ServiceSettings

TOKEN = "operator-token-0123456789"
VIEWER = "viewer-token-0123456789"
LIMIT_S = 300


class Shelf:
    """Keeps what was submitted, and runs nothing: what a cluster does is in test_head."""

    can_start = True

    def __init__(self):
        self.held, self.configs, self.stopped = {}, {}, []

    def jobs(self):
        return list(self.held.values())

    def submit(self, config):
        self.configs[config.name] = config
        known = self.held.get(config.name)
        is_new = known is None or known.status in ("STOPPED", "FAILED")
        if is_new:
            self.held[config.name] = Job(
                config.name, "PENDING", "", time.time(), None, config.storage, "0"
            )
        return self.held[config.name], is_new

    def set(self, name, status, message=""):
        job = self.held[name]
        self.held[name] = Job(
            name, status, message, job.began, time.time(), job.storage, job.config
        )

    def stop(self, name):
        self.stopped.append(name)
        self.set(name, "STOPPED")

    def forget(self, name):
        self.held.pop(name, None)

    def logs(self, name):
        return f"{name} printed this\n"


class Running:
    """A service that runs, and what asks it."""

    token, viewer = TOKEN, VIEWER

    def __init__(self, port, storage, launcher):
        self.port, self.storage, self.launcher = port, storage, launcher
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method, path, *, token=TOKEN, body=None, headers=None):
        """(status, headers, content); the path goes out as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        chunked = "Transfer-Encoding" in (headers or {})
        connection.request(method, path, body, sent | (headers or {}), encode_chunked=chunked)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content

    def get(self, path, **more):
        status, _, content = self.ask("GET", path, **more)
        assert status == 200, content
        return json.loads(content)

    def post(self, path, document=None, **more):
        body = None if document is None else json.dumps(document)
        headers = {"Content-Type": "application/json"} | more.pop("headers", {})
        status, _, content = self.ask("POST", path, body=body, headers=headers, **more)
        return status, json.loads(content)

    def until(self, name, **wanted):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            state = self.get(f"/api/sweeps/{name}")
            if all(state[key] == value for key, value in wanted.items()):
                return state
            time.sleep(0.05)
        raise AssertionError(state)


def begin(storage, launcher, **settings):
    """A service in a thread: (it, what ends it)."""
    made = ServiceSettings(storage=storage, token=TOKEN, view_token=VIEWER, **settings)
    server = uvicorn.Server(configured(make_app(made, launcher), "127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    end = time.monotonic() + LIMIT_S
    while not server.started and time.monotonic() < end and thread.is_alive():
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    def stop():
        server.should_exit = True
        thread.join(LIMIT_S)
        if thread.is_alive():
            faulthandler.dump_traceback(file=sys.__stderr__)
            raise AssertionError("the service does not end")

    return Running(port, storage, launcher), stop


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture(scope="session")
def make_shelf():
    return Shelf


@pytest.fixture(scope="session")
def begin_service():
    """(storage, launcher, **settings) -> (Running, what ends it)."""
    return begin


@pytest.fixture
def serve(tmp_path):
    """Begins services on a storage of their own: (launcher, **settings) -> Running."""
    stops = []

    def call(launcher=None, **settings):
        storage = settings.pop("storage", tmp_path / "runs")
        running, stop = begin(storage, launcher or NoLauncher(), **settings)
        stops.append(stop)
        return running

    yield call
    for stop in stops:
        stop()


@pytest.fixture(scope="session")
def seen(small_sweep, tmp_path_factory):
    """A service that is only looked at: one with the small sweep and nothing that runs."""
    storage = tmp_path_factory.mktemp("seen")
    shutil.copytree(small_sweep, storage / "small")
    running, _ = begin(storage, NoLauncher())
    return running  # its thread ends with the tests


@pytest.fixture(scope="session")
def several(small_sweep, tmp_path_factory):
    """Likewise of three sweeps: `small`, `more`, the same but for the trials asked for, and
    `fresh-...`, a name as long as can be, which has a config and nothing else."""
    storage = tmp_path_factory.mktemp("several")
    shutil.copytree(small_sweep, storage / "small")
    shutil.copytree(small_sweep, storage / "more")
    config = storage / "more" / "sweep.toml"
    config.write_text(config.read_text().replace("trials = 6", "trials = 60"))
    fresh = storage / f"fresh-{'long-name-' * 10}"[:100].rstrip("-")
    fresh.mkdir()
    shutil.copy(config, fresh)
    running, _ = begin(storage, NoLauncher())
    return running  # its thread ends with the tests
