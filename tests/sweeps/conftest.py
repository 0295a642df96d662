"""A small sweep as a worker leaves it, to look at with the commands."""

import functools
import importlib.util
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from analysis.schema import TRIALS
from gan_core.data import load_dataset
from sweeps.cli import main
from sweeps.config_file import load_config, to_toml
from sweeps.embedded import embedded_ray
from sweeps.space import Space
from sweeps.store import Store, TableName
from sweeps.study import StudyOwner
from sweeps.worker import Worker

SMALL = [
    "train.steps=40",
    "train.eval_every=10",
    "train.eval_images=100",
    "search.trials=6",
    "search.max_in_flight=2",
    "search.pruner_keep=0.2",
    "search.allowed_diverged_share=0.5",
    "model.generator_widths=[16]",
    "model.discriminator_widths=[16]",
    "space.lr_g={low=1e-4, high=1e-2, log=true}",
]


def beside(name):
    """A module in this directory, which is no package."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"gansweep_tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def swept(directory, *changes):
    """Runs a small sweep in this process; one seed of trial 1 breaks after its first rung."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    config = load_config(None, [*SMALL, *changes], options={"name": directory.name})
    store = Store(directory)
    store.write_config(to_toml(config))
    suggest = Space(config).suggest
    owner = StudyOwner(config.settings(), suggest, directory / "study.journal", "run")
    exchange = functools.partial(owner.exchange, "w")
    worker = Worker(config, name="w", slots=4, device="cpu", exchange=exchange, store=store)
    worker.write_control()
    broken = False
    while not worker.advance().done:
        victims = [m for m in worker._cohort.members if m.config.seed == 2]
        if victims and not broken:
            broken = True
            worker.advance()
            worker._cohort.G.parameters[worker._cohort.slot(victims[0]), 0] = torch.nan
    torch.set_num_threads(before)
    return directory


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL server that runs; skips where there is none."""
    with beside("postgresql").postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="session")
def run_small_sweep():
    """Runs one with other settings: (directory, *changes) -> directory."""
    return swept


@pytest.fixture(scope="session")
def small_sweep(tmp_path_factory):
    """Only to be read: trials 0 to 3 complete, but for seed 2 of the best, trial 1, which diverged;
    4 and 5 pruned. Trial t has the seeds 2t and 2t + 1."""
    return swept(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture
def own_sweep(small_sweep, tmp_path):
    """A copy of it that may be changed."""
    return shutil.copytree(small_sweep, tmp_path / "small")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a command in this process, in an empty directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def begun_sweep(tmp_path):
    """Writes sweeps of two trials, one of which has ended: (name) -> directory under runs."""

    def write(name="digits", *changes):
        config = load_config(None, ["search.trials=2", "train.seeds=1", *changes])
        store = Store(tmp_path / "runs" / name)
        store.write_config(to_toml(config.model_copy(update={"name": name})))
        seed = config.settings().seeds_of(0)[0]
        known = {"sweep": name, "trial": 0, "seed": seed, "attempt": 0, "status": "complete"}
        measured = {"steps": 2000, "trial_objective": 1.5, "lr_g": 1e-3, "loss": "hinge"}
        row = dict.fromkeys(TRIALS.names) | known | measured | {"ended_at": datetime.now(UTC)}
        store.write(TableName.TRIALS, [row], "w0-0")
        return tmp_path / "runs" / name

    return write


@pytest.fixture(scope="session")
def flaky_s3():
    """The module."""
    return beside("flaky_s3")


@pytest.fixture(scope="session")
def s3_server(flaky_s3):
    """An S3 that fails nothing, for all tests of a session."""
    with flaky_s3.FlakyS3(share=0) as server:
        server.filesystem().create_dir("sweeps")
        yield server


@pytest.fixture
def s3(s3_server, flaky_s3, tmp_path, monkeypatch):
    """It, with credentials in the environment, and homes of sweeps below `tmp_path / "state"`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with flaky_s3.credentials_of_its_own(monkeypatch):
        yield s3_server
    s3_server.share, s3_server.down = 0, False


@pytest.fixture
def s3_storage(s3):
    """The URI of a storage that is empty."""
    return s3.uri(f"sweeps/{secrets.token_hex(4)}/runs")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Ray of two cores."""
    with embedded_ray(cpus=2, gpus=0, log_dir=tmp_path_factory.mktemp("logs")):
        yield


@pytest.fixture(scope="session")
def quick():
    """Changes of a config that make its trials short."""
    return [
        "train.steps=40",
        "train.eval_every=10",
        "train.eval_images=100",
        "model.generator_widths=[16]",
        "model.discriminator_widths=[16]",
    ]
