"""The service under Ray Serve, on the head of a real cluster with tokens and another node."""

import contextlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from gan_core.config import ConfigError
from sweeps.service.client import Client

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "cluster" / "service.yaml"
PROGRAMS = Path(sys.executable).parent
LIMIT_S = 400
TOKEN, VIEWER = secrets.token_hex(24), secrets.token_hex(24)
TINY = {
    "name": "tiny",
    "train": {"steps": 20, "eval_every": 10, "eval_images": 100, "seeds": 1},
    "model": {"generator_widths": [16], "discriminator_widths": [16]},
    "space": {"lr_g": {"low": 1e-4, "high": 1e-2, "log": True}, "loss": "hinge"},
    "search": {"trials": 2},
    "resources": {"workers": 1},
}

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("mmh3") is None, reason="needs ray[serve]"),
    # Ray Serve's own models are declared in pydantic's old way.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]


@pytest.fixture
def deployment(monkeypatch):
    """The module."""
    monkeypatch.delenv("GANSWEEP_TOKEN", raising=False)
    monkeypatch.delenv("GANSWEEP_VIEW_TOKEN", raising=False)
    return importlib.import_module("sweeps.service.deployment")


@pytest.fixture
def secret(tmp_path):
    """Writes a file that only its owner can read: (name, text, mode) -> its path."""

    def write(name="token", text=f"{TOKEN}\n", mode=0o600):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "storage = (not given): must be given"),
        (
            {"storage": "s3://bucket/runs"},
            'storage = "s3://bucket/runs": must be an absolute path, on the head',
        ),
        ({"storage": "runs"}, 'storage = "runs": must be an absolute path, on the head'),
        (
            {"storage": "/runs", "token": "abc"},
            'token = "abc": there is no such key; did you mean "token_file"? known: ',
        ),
        (
            {"storage": "/runs", "allow_path": ["data"]},
            'allow_path.0 = "data": must be an absolute path, on the head',
        ),
        (
            {"storage": "/runs", "allow_factory": "nets:factory"},
            "code = (not given): must name the directory of the allowed architectures",
        ),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(deployment, arguments, says):
    with pytest.raises(ConfigError) as refused:
        deployment.app(arguments)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


def test_without_a_token_it_is_not_served(deployment):
    with pytest.raises(ConfigError) as refused:
        deployment._settings(deployment.ServiceArguments(storage="/runs"))
    assert str(refused.value) == (
        "token_file = (not given): others can reach this: it must name a file on the head, or "
        "GANSWEEP_TOKEN there hold a token"
    )


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"mode": 0o604}, "everybody on the head can read it: chmod 600"),
        ({"text": "short!"}, 'token = "...": must be 16 to 256 of'),
        ({"text": "\udcff" * 20}, 'token = "...": must be 16 to 256 of'),
        (None, "cannot be read on the head: No such file or directory"),
    ],
)
def test_a_token_that_is_none_or_no_secret_is_refused_and_not_shown(
    deployment, secret, tmp_path, written, says
):
    if written is not None and (text := written.pop("text", None)):
        path = secret(**written)
        path.write_bytes(text.encode(errors="surrogateescape"))
    else:
        path = tmp_path / "absent" if written is None else secret(**written)
    with pytest.raises(ConfigError) as refused:
        deployment._settings(deployment.ServiceArguments(storage="/runs", token_file=path))
    assert says in str(refused.value)
    assert TOKEN not in str(refused.value)
    assert "short!" not in str(refused.value)


def test_tokens_come_from_files_or_the_environment_of_the_head(deployment, secret, monkeypatch):
    monkeypatch.setenv("GANSWEEP_TOKEN", "of-the-environment")
    monkeypatch.setenv("GANSWEEP_VIEW_TOKEN", VIEWER)
    given = deployment.ServiceArguments(storage="/runs")
    named = deployment.ServiceArguments(storage="/runs", token_file=secret())
    found = [deployment._settings(each) for each in (given, named)]
    assert [each.token for each in found] == ["of-the-environment", TOKEN]
    assert [each.view_token for each in found] == [VIEWER, VIEWER]
    assert TOKEN not in repr(found)


def test_what_serve_run_gives_as_text_may_be_one_of_several(deployment, secret):
    given = {"storage": "/runs", "token_file": str(secret()), "allow_host": "gans.example.org"}
    settings = deployment._settings(deployment.ServiceArguments(**given))
    assert settings.storage == Path("/runs")
    assert settings.allowed_hosts[0] == "gans.example.org"
    assert socket.gethostname() in settings.allowed_hosts


@pytest.mark.parametrize("missing", ["ray.serve", "ray", "fastapi"])
def test_without_the_extra_its_name_is_said(missing):
    program = f"""
import sys
sys.modules[{missing!r}] = None
try:
    import sweeps.service.deployment
except ImportError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.stdout == (
        'the service on Ray Serve needs ray[serve]: pip install "gansweep[ray-serve]"\n'
    ), done.stderr


def test_the_config_is_the_one_that_the_documentation_shows():
    shown = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/clusters.md").read_text(), re.DOTALL)
    assert yaml.safe_load(CONFIG.read_text()) in [yaml.safe_load(text) for text in shown]


# --- deployed, which is slow: a cluster begins in ten seconds and Ray Serve in as many


class Deployed:
    """The service on a cluster, and what asks it."""

    def __init__(self, cluster):
        self._cluster, self._port = cluster, free_port()
        self.link = f"http://127.0.0.1:{self._port}/?token={TOKEN}"

    def serve(self, *arguments):
        """What a command of Ray Serve says."""
        done = subprocess.run(
            [PROGRAMS / "serve", *arguments, "--address", self._cluster.dashboard],
            cwd=self._cluster.home,
            env=self._cluster.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def deploy(self, **args):
        """Deploys the config that the documentation names, with these arguments."""
        config = yaml.safe_load(CONFIG.read_text())
        config["http_options"]["port"] = self._port
        config["applications"][0]["args"] = {"address": self._cluster.dashboard, **args}
        (self._cluster.home / "service.yaml").write_text(yaml.safe_dump(config))
        return self.serve("deploy", "service.yaml")

    def details(self):
        """All that Ray's dashboard knows of it."""
        request = urllib.request.Request(f"{self._cluster.dashboard}/api/serve/applications/")
        request.add_header("Authorization", f"Bearer {self._cluster.token}")
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return json.loads(answer.read())

    def application(self):
        return self.details()["applications"].get("gansweep", {})

    def replicas(self):
        """Those that answer requests."""
        known = self.application()["deployments"]["gansweep"]["replicas"]
        return [
            {"pid": each["pid"], "node_id": each["node_id"]}
            for each in known
            if each["state"] == "RUNNING"
        ]

    def status(self, path, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def until(condition, seen=lambda: "waited too long"):
    end = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < end, seen()
        time.sleep(0.2)
    return found


def names(client):
    """Of the sweeps that are listed; None while nothing answers."""
    with contextlib.suppress(Exception):
        return set(client.sweeps()["name"])


def is_done(client, name):
    state = client.status(name)
    assert state["state"] != "failed", client.logs(name)
    return state["state"] == "done"


class LocalCluster:
    """A head with two cores. It ends, with all nodes, when `stack` does."""

    def __init__(self, home, stack):
        self.home, self.token = home, secrets.token_hex(32)
        (home / "ray.token").write_text(self.token)
        foreign = ("RAY_", "TUNE_", "GANSWEEP_")
        self.environment = {n: v for n, v in os.environ.items() if not n.startswith(foreign)} | {
            "HOME": str(home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(home / "ray.token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "RAY_worker_register_timeout_seconds": "120",  # of a busy machine
        }
        self._stack = stack
        # A short path: the sockets in it may have 107 characters.
        self.temporary = Path(f"/tmp/gss-{os.getpid()}")
        stack.callback(shutil.rmtree, self.temporary, ignore_errors=True)
        self._port, dashboard = str(free_port()), str(free_port())
        self.dashboard = f"http://127.0.0.1:{dashboard}"
        head = ["--head", "--port", self._port, "--dashboard-port", dashboard]
        self._begin(*head, "--temp-dir", str(self.temporary), "--num-cpus", "2")

    def add_node(self):
        """One without a core, for what needs none."""
        self._begin("--address", f"127.0.0.1:{self._port}", "--num-cpus", "0")

    def _begin(self, *arguments):
        self._stack.enter_context(begun(arguments, self.home, self.environment))

    def logs(self):
        """All that was written on it."""
        found = [path for path in self.temporary.rglob("*") if path.is_file()]
        assert any(path.suffix == ".log" for path in found)
        return [path.read_text(errors="replace") for path in found]


@contextlib.contextmanager
def begun(arguments, home, environment):
    """A node of Ray, with all its processes."""
    log = home / f"ray-{arguments[0].strip('-')}.log"
    command = ["start", *arguments, "--block", "--num-gpus", "0"]
    # Ray's usual port would clash with that of another node on this machine.
    command += ["--dashboard-agent-listen-port", str(free_port())]
    command += ["--object-store-memory", str(128 * 2**20)]
    with log.open("w") as file:
        process = subprocess.Popen(
            [PROGRAMS / "ray", *command],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        until(lambda: "--block" in log.read_text() or process.poll() is not None, log.read_text)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def local_cluster(tmp_path):
    with contextlib.ExitStack() as stack:
        yield LocalCluster(tmp_path, stack)


@pytest.mark.slow
def test_it_is_served_on_the_head_and_begun_anew_when_it_is_killed(
    local_cluster, small_sweep, secret, tmp_path
):
    storage = tmp_path / "runs"
    shutil.copytree(small_sweep, storage / "small")
    secret("gansweep.token")
    secret("view.token", VIEWER)
    service = Deployed(local_cluster)

    service.deploy(storage=str(storage))
    until(lambda: "others can reach this" in str(service.application()), service.application)

    files = {"token_file": "~/gansweep.token", "view_token_file": str(tmp_path / "view.token")}
    service.deploy(storage=str(storage), **files)
    client, viewer = Client(service.link), Client(service.link.replace(TOKEN, VIEWER))
    assert until(lambda: names(client), service.application) == {"small"}
    assert service.status("/api/sweeps") == 401
    assert service.status("/api/sweeps", "another-token-0123456789") == 401
    assert service.status("/api/sweeps", VIEWER) == 200
    assert service.status(f"/?token={TOKEN}") == 200
    with pytest.raises(ValueError, match="may only look"):
        viewer.stop("small")

    events = client.events()
    assert next(events) == ("status", client.status("small"))
    assert client.submit(TINY)[1]
    assert next(events)[1]["name"] == "tiny"
    events.close()
    until(lambda: is_done(client, "tiny"))

    # Only now: nodes on one machine share the directory of a job, and take it from each other.
    local_cluster.add_node()
    (before,) = service.replicas()
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: service.replicas() not in ([], [before]), service.application)
    assert until(lambda: names(client), service.application) == {"small", "tiny"}
    (after,) = service.replicas()
    assert after["pid"] != before["pid"]
    assert after["node_id"] == before["node_id"] == service.details()["controller_info"]["node_id"]

    said = [service.serve("status"), service.serve("config"), json.dumps(service.details())]
    assert "RUNNING" in said[0]
    for text in (*said, *local_cluster.logs()):
        assert TOKEN not in text
        assert VIEWER not in text
    service.serve("shutdown", "--yes")
