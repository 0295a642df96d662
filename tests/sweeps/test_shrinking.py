"""Workers for whom memory runs out, with an owner of the study in this process."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from sweeps.config_file import load_config
from sweeps.fleet import restarts
from sweeps.shrinking import ShrinkingWorker
from sweeps.space import Space
from sweeps.store import Store
from sweeps.study import StudyOwner

GIB = 2**30
SMALL = [
    "train.steps=20",
    "train.eval_every=10",
    "train.eval_images=50",
    "train.seeds=2",
    "search.trials=4",
    "search.max_in_flight=4",
    "search.pruner=none",
    "search.sampler=random",
    "search.baseline=[]",
    "search.allowed_diverged_share=1",
    "model.generator_widths=[16]",
    "model.discriminator_widths=[16]",
    "space.loss=hinge",
    "space.label_smoothing=",
    "space.latent_dim={choices=[8, 16]}",
]
# Of a gibibyte for each member it touches nothing, but it must be there to be had.
NETS = """
import torch
from torch import nn

class Generator(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.layer = nn.Linear(latent_dim, 64)
    def forward(self, z):
        z.new_empty({forward})
        return self.layer(z).tanh().unflatten(1, (1, 8, 8))

class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
    def forward(self, x):
        return self.layer(x.flatten(1))[:, 0]

def factory(latent_dim, sample_shape):
    if latent_dim == 8:
        torch.empty({narrow})
    return Generator(latent_dim), Discriminator()
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def limited():
    """Lets this process have so many bytes of address space more."""
    before = resource.getrlimit(resource.RLIMIT_AS)

    def limit(more):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_AS, before)


class Sweep:
    """A store, an owner, and a link to it for each worker."""

    def __init__(self, directory, *changes):
        self.config = load_config(None, [*SMALL, *changes])
        self.directory, self.store = directory, Store(directory)
        suggest = Space(self.config).suggest
        self.owner = StudyOwner(self.config.settings(), suggest, directory / "j", "run")
        self.begun = 0

    def worker(self, name="w", trials=4, link=None):
        self.begun += 1
        return ShrinkingWorker(
            self.config,
            name=name,
            slots=2 * trials,
            deaths=self.owner.begin_worker(name),
            device="cpu",
            link=link or Link(self.owner, name),
            store=self.store,
        )

    def table(self, name="trials"):
        rows = pd.read_parquet(self.directory / name)
        last = rows.groupby("trial")["attempt"].transform("max")
        return rows[rows["attempt"] == last]


class Link:
    def __init__(self, owner, name, kills=lambda reports: False):
        self.owner, self.name, self.kills = owner, name, kills

    def exchange(self, **message):
        if self.kills({report.trial: report.step for report in message["reports"]}):
            raise Killed
        return self.owner.exchange(self.name, **message)

    def release(self):
        self.owner.release(self.name)

    def notify(self, line):
        self.owner.notify(line)


class Killed(BaseException):
    """In place of the signal."""


def own_networks(directory, monkeypatch, *, forward=1, narrow=1):
    name = f"nets_{directory.name.replace('-', '_')}"
    (directory / f"{name}.py").write_text(NETS.format(forward=forward, narrow=narrow))
    monkeypatch.syspath_prepend(directory)
    return f"model.architecture={name}:factory"


def finish(worker):
    for _ in range(500):
        if worker.advance().done:
            return worker
    raise AssertionError("the sweep does not end")


def test_it_halves_until_there_is_memory_and_no_trial_is_to_blame(tmp_path, monkeypatch, limited):
    sweep = Sweep(tmp_path, own_networks(tmp_path, monkeypatch, forward=2**28), "search.trials=5")
    worker = sweep.worker()
    limited(3 * GIB)  # for two members, not for four
    finish(worker)
    trials = sweep.table()
    assert sorted(trials["trial"].unique()) == list(range(5))
    assert set(trials["status"]) == {"complete"}
    assert set(trials["slots"]) == {2}
    status = sweep.owner.status()
    assert (status.complete, status.failed, status.done) == (5, 0, True)
    assert status.member_steps == 5 * 2 * 20
    first, second = status.notices
    assert first.startswith("w ran out of memory with 8 members at a time, and goes on with 4 (")
    assert second.startswith("w ran out of memory with 4 members at a time, and goes on with 2 (")
    assert "can't allocate memory" in second


def test_what_was_kept_is_gone_on_with(tmp_path, monkeypatch, limited):
    own = own_networks(tmp_path, monkeypatch, forward=2**28)
    sweep = Sweep(tmp_path, own, "train.checkpoint_every_s=0")
    worker = sweep.worker()
    for _ in range(2):
        worker.advance()
    limited(6 * GIB)
    finish(worker)
    assert worker.slots == 4
    # Nothing but the interval that found no memory is trained again.
    assert sweep.owner.status().member_steps == 4 * 2 * 20
    assert set(sweep.table()["attempt"]) == {1}
    assert sorted(sweep.table("history").groupby("seed").size()) == [3] * 8


def baselines(*latent_dims):
    """The trials in their order."""
    listed = (
        f"{{lr_g={number + 1}e-4, latent_dim={dim}}}" for number, dim in enumerate(latent_dims)
    )
    return f"search.baseline=[{', '.join(listed)}]"


def test_a_trial_for_which_there_is_no_memory_is_set_aside_alone(tmp_path, monkeypatch):
    own = own_networks(tmp_path, monkeypatch, narrow=2**45)
    sweep = Sweep(tmp_path, own, baselines(16, 8, 16, 16))
    worker = finish(sweep.worker())
    trials = sweep.table().drop_duplicates("trial").set_index("trial")
    assert list(trials["status"].sort_index()) == ["complete", "failed", "complete", "complete"]
    error = trials.loc[1, "error"]
    assert error.startswith("no memory for it alone, 3 times in a row: RuntimeError: ")
    assert worker.room == 4  # as at first
    assert sweep.owner.status().notices[-1].endswith("goes on with 8 members again")


@pytest.mark.slow  # a dozen workers
def test_where_no_trial_fits_the_worker_ends_and_leaves_them_to_others(tmp_path, monkeypatch):
    own = own_networks(tmp_path, monkeypatch, narrow=2**45)
    sweep = Sweep(tmp_path, own, baselines(8, 8, 8, 8))
    finish(sweep.worker())
    status = sweep.owner.status()
    assert (status.failed, status.running) == (2, 2)
    assert status.notices[-1].startswith("w ends: it finds no memory for any trial (RuntimeError")
    left = sweep.owner.exchange("other", (), (), (), 4).refills
    assert [(assignment.trial, assignment.breaks) for assignment in left] == [(2, 0), (3, 0)]


def test_where_no_worker_fits_it_ends_and_blames_no_trial(tmp_path, monkeypatch, limited):
    sweep = Sweep(tmp_path, own_networks(tmp_path, monkeypatch, forward=2**28))
    worker = sweep.worker()
    limited(GIB // 2)
    finish(worker)
    assert worker.write_control()
    assert worker.advance().done
    status = sweep.owner.status()
    assert (status.failed, status.running) == (0, 4)
    assert status.notices[-1].startswith("w ends: it finds no memory for any trial (RuntimeError")


def test_there_may_be_too_little_for_the_parts_of_a_worker(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path)
    asked = []

    def new_cohort(self, slots, device):
        asked.append(slots)
        if slots > 4:
            raise MemoryError
        return real(self, slots, device)

    real = ShrinkingWorker.__init__.__globals__["Worker"]._new_cohort
    monkeypatch.setattr("sweeps.worker.Worker._new_cohort", new_cohort)
    worker = sweep.worker()
    assert asked == [8, 4]
    assert (worker.slots, worker.room) == (4, 2)


def test_other_errors_are_raised(tmp_path):
    sweep = Sweep(tmp_path)
    worker = sweep.worker()
    worker._link.exchange = lambda **message: 1 / 0
    with pytest.raises(ZeroDivisionError):
        worker.advance()


@pytest.mark.parametrize(("deaths", "slots"), [(0, 8), (1, 4), (2, 2), (9, 2)])
def test_each_death_of_its_process_halves_it_down_to_one_trial(tmp_path, deaths, slots):
    sweep = Sweep(tmp_path)
    for _ in range(deaths):
        sweep.owner.begin_worker("w")
    assert sweep.worker().slots == slots
    assert bool(sweep.owner.status().notices) == bool(deaths)


def killed_again_and_again(sweep, kills):
    """Runs a worker whose process dies whenever `kills` says so, with what is to come of it."""
    for _ in range(50):
        worker = sweep.worker(link=Link(sweep.owner, "w", kills))
        try:
            finish(worker)
        except Killed:
            continue
        break
    trials = sweep.table()
    failed = trials[trials["status"] == "failed"]
    assert set(trials["status"]) == {"complete", "failed"}
    assert set(failed["error"]) == {"its worker died 3 times while it trained"}
    deaths = [
        int(n) for n in re.findall(r"died (\d+) times", "\n".join(sweep.owner.status().notices))
    ]
    assert max(deaths) < restarts(4)
    return set(failed["trial"])


@pytest.mark.parametrize("guilty", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_trial_that_kills_its_worker_is_parted_from_the_others_and_set_aside(tmp_path, guilty):
    sweep = Sweep(tmp_path)
    assert killed_again_and_again(sweep, lambda reports: guilty in reports) == {guilty}


@pytest.mark.slow  # dozens of workers
def test_one_that_kills_late_is_found_by_the_others_getting_on(tmp_path):
    sweep = Sweep(tmp_path, "train.checkpoint_every_s=0", "train.steps=60")
    assert killed_again_and_again(sweep, lambda reports: reports.get(1, 0) >= 40) == {1}


@pytest.mark.slow  # dozens of workers
def test_two_that_kill_are_both_found_and_the_rest_is_trained_with_all_slots(tmp_path):
    sweep = Sweep(tmp_path, "search.trials=12")
    assert killed_again_and_again(sweep, lambda reports: {2, 3} & reports.keys()) == {2, 3}
    assert 8 in set(sweep.table().query("status == 'complete'")["slots"])


# In a worker of Ray's, memory is for four members, and what is narrow kills.
CRUEL = """
import os, resource, signal
from pathlib import Path

def in_worker():
    return Path("/proc/self/cmdline").read_text().startswith("ray::")

def factory(latent_dim, sample_shape):
    import nets
    if in_worker():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
            most = pages * resource.getpagesize() + 6 * 2**30
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        if latent_dim == 8:
            os.kill(os.getpid(), signal.SIGKILL)
    return nets.factory(latent_dim, sample_shape)
"""


@pytest.mark.slow  # begins Ray, and a process of it at each death
def test_on_ray_a_trial_that_kills_is_set_aside_and_the_others_train_within_the_memory(tmp_path):
    (tmp_path / "nets.py").write_text(NETS.format(forward=2**28, narrow=1))
    (tmp_path / "cruel.py").write_text(CRUEL)
    changes = [*SMALL, baselines(16, 16, 16, 16, 8), "search.trials=5"]
    changes += ["resources.workers=1", "model.architecture=cruel:factory"]
    options = [word for change in changes for word in ("--set", change)]
    ran = subprocess.run(
        [sys.executable, "-m", "sweeps", "run", "--name", "cruel", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stderr
    trials = pd.read_parquet(tmp_path / "runs" / "cruel" / "trials").drop_duplicates("trial")
    trials = trials.set_index("trial")
    assert list(trials["status"].sort_index()) == [*["complete"] * 4, "failed"]
    assert trials.loc[4, "error"] == "its worker died 3 times while it trained"
    assert set(trials["slots"]) <= {2, 4}
    assert re.search(r"worker-0 died .*, and goes on with \d members", ran.stderr)
    assert re.search(r"worker-0 ran out of memory with 8 members at a time, .* with 4", ran.stderr)
