"""A head and two nodes of a real Ray with tokens, on one machine: sweeps by address and as jobs.

All slow: a node of Ray takes seconds to begin, and each holds workers that import torch.
"""

import contextlib
import importlib.util
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LIMIT_S = 400
TINY = [
    "--set",
    "train.steps=60",
    "--set",
    "train.eval_every=20",
    "--set",
    "train.eval_images=100",
    "--set",
    "model.generator_widths=[16]",
    "--set",
    "model.discriminator_widths=[16]",
]
needs_jobs = pytest.mark.skipif(
    importlib.util.find_spec("aiohttp") is None, reason="needs ray[default]"
)


IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class LocalCluster:
    def __init__(self, process, port, dashboard, environment):
        self.process, self.environment = process, environment
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://127.0.0.1:{dashboard}"

    def tell(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def begin(self, *arguments, cwd, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", "sweeps", *arguments],
            cwd=cwd,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def processes(self, name):
        """Ray's, of this cluster alone, which has a home of its own."""
        found, home = set(), f"\0HOME={self.environment['HOME']}\0"
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                title = (path / "cmdline").read_text()
                is_ours = home in (path / "environ").read_text()
                if is_ours and title.startswith("ray::") and name in title:
                    found.add(int(path.name))
        return found

    def gansweep(self, *arguments, cwd, **variables):
        process = self.begin(*arguments, cwd=cwd, **variables)
        stdout, stderr = process.communicate(timeout=LIMIT_S)
        return process.returncode, stdout, stderr


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "token").write_text(secrets.token_hex(32))
    port, dashboard = free_port(), free_port()
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("RAY_", "TUNE_"))}
    environment = inherited | {
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(home / "token"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
        "RAY_worker_register_timeout_seconds": "120",  # of a busy machine
    }
    # A short path: the sockets in it may have 107 characters.
    temporary = f"/tmp/gsc-{os.getpid()}"
    jobs = importlib.util.find_spec("aiohttp") is not None
    command = [sys.executable, str(HERE / "local_cluster.py"), temporary, str(port)]
    with (home / "cluster.log").open("w") as log:
        process = subprocess.Popen(
            [*command, str(dashboard) if jobs else "0"],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert process.stdout.readline() == "up\n", (home / "cluster.log").read_text()
    # What is found, not what is said: the mode is the command's to choose.
    driver = {n: v for n, v in environment.items() if n != "RAY_AUTH_MODE"}
    yield LocalCluster(process, port, dashboard, driver)
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    subprocess.run(["rm", "-rf", temporary], check=True)


def wait_for(condition, process=None, limit_s=LIMIT_S, seen=lambda: "waited too long"):
    end = time.monotonic() + limit_s
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, seen()
        time.sleep(0.2)


def has_history(directory):
    return lambda: len(list(directory.glob("history/[!.]*.parquet"))) >= 3


def assert_whole(directory, trials, seeds=2):
    """Every trial ended once, and has each of its rungs once under the attempt that counts."""
    ended = pd.read_parquet(directory / "trials")
    assert sorted(ended.drop_duplicates(["trial", "seed"])["trial"].unique()) == list(range(trials))
    last = ended[ended["attempt"] == ended.groupby(["trial", "seed"])["attempt"].transform("max")]
    assert len(last) == trials * seeds
    assert set(last["status"]) <= {"complete", "pruned", "diverged"}
    history = pd.read_parquet(directory / "history")
    rungs = history.merge(last[["trial", "seed", "attempt"]]).groupby(["trial", "seed"])["step"]
    assert (rungs.nunique() == rungs.size()).all()
    assert len(rungs) == trials * seeds


def test_a_node_that_dies_in_mid_sweep_costs_no_trial(cluster, tmp_path):
    (tmp_path / "analysis.py").write_text("raise RuntimeError('the user\\'s own')")
    options = ["--trials", "20", "--name", "hurt", "--address", cluster.address, *TINY]
    # Two workers more than fit: they wait, and go when there is room for all trials that are left.
    options += ["--set", "resources.workers=6", "--set", "train.steps=200"]
    process = cluster.begin("run", *options, cwd=tmp_path)
    directory = tmp_path / "runs" / "hurt"
    wait_for(has_history(directory), process)
    cluster.tell("kill 0")
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, stderr
    assert "20 of 20 trials ended" in stdout
    assert_whole(directory, 20)
    # Of four on two nodes with two cores each; one may come too late for work.
    assert pd.read_parquet(directory / "trials")["worker"].nunique() >= 2
    wait_for(lambda: not cluster.processes("StudyOwner"), limit_s=30)
    assert not (directory / ".shared").exists()
    cluster.tell("add")


def test_a_killed_driver_leaves_an_owner_that_resume_replaces(cluster, tmp_path):
    options = ["--trials", "8", "--name", "left", "--address", cluster.address, *TINY]
    process = cluster.begin("run", *options, "--set", "train.steps=200", cwd=tmp_path)
    directory = tmp_path / "runs" / "left"
    wait_for(has_history(directory), process)
    left = cluster.processes("StudyOwner")
    assert len(left) == 1
    process.kill()
    process.communicate(timeout=400)
    time.sleep(1)
    assert cluster.processes("StudyOwner") == left
    code, _, stderr = cluster.gansweep(
        "resume", "left", "--address", "auto", cwd=tmp_path, RAY_ADDRESS=cluster.address
    )
    assert code == 0, stderr
    assert_whole(directory, 8)
    wait_for(lambda: not cluster.processes("StudyOwner"), limit_s=30)


def test_a_token_that_is_not_the_clusters_is_refused_and_nothing_is_written(cluster, tmp_path):
    (tmp_path / "token").write_text("wrong")
    other = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    port = cluster.address.rpartition(":")[2]
    for address, named in [(cluster.address, ""), ("auto", rf" at [\d.]+:{port}")]:
        run = ["run", "--name", "no", "--address", address]
        code, _, stderr = cluster.gansweep(*run, cwd=tmp_path, RAY_ADDRESS=cluster.address, **other)
        assert code == 2
        (line,) = stderr.splitlines()
        assert re.search(f"the cluster{named} asks for another token than the one found", line)
    assert not (tmp_path / "runs").exists()


def test_a_node_with_other_code_is_refused_by_name(cluster, tmp_path):
    # All nodes find this machine's one checkout, so the driver gives itself out for another.
    probe = """
import dataclasses, sys
from pathlib import Path
from rich.console import Console
import sweeps.nodes, sweeps.runner
from sweeps.config_file import load_config
real = sweeps.nodes.this_build
sweeps.nodes.this_build = lambda: dataclasses.replace(real(), gansweep="another")
try:
    config = load_config(None, options={"name": "differs"})
    sweeps.runner.launch(config, console=Console(), address=sys.argv[1])
except Exception as error:
    sys.stderr.write(f"{error}\\n")
"""
    command = [sys.executable, "-c", probe, cluster.address]
    ran = subprocess.run(
        command, cwd=tmp_path, env=cluster.environment, capture_output=True, text=True, timeout=400
    )
    line = ran.stderr.splitlines()[-1]
    assert re.search(r"gansweep is .* there and another here: every node needs the same", line)
    assert not (tmp_path / "runs" / "differs").exists()


@pytest.mark.parametrize(("job", "stands"), [({}, "here"), ({IN_A_JOB: "{}"}, "elsewhere")])
def test_who_leaves_ray_does_not_stand_in_the_directory_of_its_job(cluster, tmp_path, job, stands):
    # Ray removes it from then on, at a moment of its own.
    probe = """
import os, pathlib, sys
from sweeps.attached import attached_ray
before = os.getcwd()
with attached_ray(sys.argv[1], log_dir=pathlib.Path("logs")):
    assert os.getcwd() == before
print("here" if os.getcwd() == before else "elsewhere")
"""
    command = [sys.executable, "-c", probe, cluster.address]
    ran = subprocess.run(
        command, cwd=tmp_path, env=cluster.environment | job, capture_output=True, text=True,
        timeout=400,
    )  # fmt: skip
    assert ran.stdout.strip() == stands, ran.stderr


@needs_jobs
def test_a_sweep_is_submitted_followed_stopped_continued_and_fetched(cluster, tmp_path):
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    shared.mkdir()
    mine.mkdir()
    (mine / "analysis.py").write_text("raise RuntimeError('the user\\'s own')")
    (mine / "nets.py").write_text(NETS)
    at = ["--address", cluster.url]
    assert cluster.gansweep("init", "sweep.toml", cwd=mine)[0] == 0
    submit = ["submit", "sweep.toml", "--name", "sent", "--storage", str(shared), *at, *TINY]
    # So long that it is not done before somebody looks at it.
    submit += ["--trials", "8", "--set", "train.steps=2000", "--set", "train.eval_every=100"]
    submit += ["--set", "model.architecture=nets:factory"]

    code, stdout, stderr = cluster.gansweep(*submit, cwd=mine)
    assert code == 0, stderr
    assert stdout.startswith("sent was submitted\n")
    again = cluster.gansweep(*submit, cwd=mine)
    assert again[1].startswith("sent runs already\n")
    code, _, stderr = cluster.gansweep(*submit, "--set", "search.seed=1", cwd=mine)
    assert code == 2
    assert "runs there with another config" in stderr

    def seen():
        told = [cluster.gansweep(word, "sent", *at, cwd=mine) for word in ("status", "logs")]
        return told, sorted(shared.rglob("*"))

    wait_for(has_history(shared / "sent"), seen=seen)
    code, stdout, stderr = cluster.gansweep("stop", "sent", *at, cwd=mine)
    assert (code, stdout.partition(";")[0]) == (0, "sent: stopped"), stderr
    printed = cluster.gansweep("logs", "sent", *at, cwd=mine)[1]
    if "Traceback" in printed:
        pytest.fail(printed)

    assert cluster.gansweep(*submit, cwd=mine)[1].startswith("sent was submitted\n")
    code, stdout, stderr = cluster.gansweep("logs", "sent", "-f", *at, cwd=mine)
    assert (code, stderr) == (0, ""), stdout
    assert "8 of 8 trials ended" in stdout
    assert_whole(shared / "sent", 8)
    assert cluster.gansweep(*submit, cwd=mine)[1].startswith("sent is done\n")
    assert "8 of 8 trials ended" in cluster.gansweep("status", "sent", *at, cwd=mine)[1]
    assert "succeeded" in cluster.gansweep("list", *at, cwd=mine)[1]

    for _ in range(2):
        code, stdout, stderr = cluster.gansweep("fetch", "sent", *at, cwd=mine)
        assert code == 0, stderr
    fetched = pd.read_parquet(mine / "runs" / "sent" / "trials")
    pd.testing.assert_frame_equal(fetched, pd.read_parquet(shared / "sent" / "trials"))
    assert set(fetched["architecture"]) == {"nets:factory"}
    code, _, stderr = cluster.gansweep("logs", "nosuch", *at, cwd=mine)
    assert code == 2
    assert "known: sent" in stderr


NETS = """
from torch import nn

class Generator(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.layer = nn.Linear(latent_dim, 64)
    def forward(self, z):
        return self.layer(z).tanh().unflatten(1, (1, 8, 8))

class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
    def forward(self, x):
        return self.layer(x.flatten(1))[:, 0]

def factory(latent_dim, sample_shape):
    return Generator(latent_dim), Discriminator()
"""
