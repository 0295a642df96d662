import functools

import pytest

from gan_core.export import load_member
from sweeps.config_file import load_config
from sweeps.space import Space
from sweeps.store import Store
from sweeps.study import StudyOwner
from sweeps.weights import (
    KeepWeights,
    members_name,
    weights_name,
)
from sweeps.worker import Worker


@pytest.mark.parametrize(
    ("keep", "statuses"),
    [
        ("complete", {"complete"}),
        ("all", {"complete", "pruned", "diverged", "failed"}),
        ("none", set()),
    ],
)
def test_whose_weights_are_kept(keep, statuses):
    ends = ("complete", "pruned", "diverged", "failed")
    assert {status for status in ends if KeepWeights(keep).keeps(status)} == statuses


def test_what_is_there_is_read_from_the_names(tmp_path):
    assert Store(tmp_path).kept_members() == set()
    for trial, seed in ((3, 12), (0, 10**12)):
        path = tmp_path / weights_name(trial, seed)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (path.parent / ".trial-1-seed-2.safetensors.0a1b.tmp").touch()
    (path.parent / "mine.safetensors").touch()
    assert Store(tmp_path).kept_members() == {(3, 12), (0, 10**12)}


def test_trials_in_training_are_read_from_the_names(tmp_path):
    assert Store(tmp_path).kept_trials() == set()
    for trial in (3, 10**7):
        path = tmp_path / members_name(trial)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (path.parent / ".trial-1.safetensors.0a1b.tmp").touch()
    assert Store(tmp_path).kept_trials() == {3, 10**7}


def test_a_sweep_keeps_the_complete_and_says_where_they_come_from(small_sweep):
    kept = {(0, 0), (0, 1), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7)}
    assert Store(small_sweep).kept_members() == kept
    for trial, seed in kept:
        _, _, config = load_member(small_sweep / weights_name(trial, seed))
        assert config.gan.seed == seed
        assert config.origin["sweep"] == "small"
        expected = {"trial": trial, "seed": seed, "attempt": 0, "step": 40, "dataset": "digits"}
        assert config.origin.items() >= expected.items()


def test_all_means_the_pruned_and_the_diverged_too(run_small_sweep, tmp_path):
    directory = run_small_sweep(tmp_path / "all", "train.keep_weights=all", "train.steps=20")
    assert Store(directory).kept_members() == {(seed // 2, seed) for seed in range(12)}
    G, D, config = load_member(directory / weights_name(1, 2))  # broken after 10 steps
    assert config.origin["step"] == 20 - 10
    assert all(p.isfinite().all() for p in D.parameters())
    assert not all(p.isfinite().all() for p in G.parameters())  # the NaN that broke it


def test_none_means_none(run_small_sweep, tmp_path):
    directory = run_small_sweep(tmp_path / "none", "train.keep_weights=none", "train.steps=20")
    assert not (directory / "checkpoints").exists()


def test_what_a_killed_writer_left_half_written_is_removed(tmp_path):
    store = Store(tmp_path)
    store.write_weights(0, 1, b"whole")
    leftover = (tmp_path / weights_name(0, 1)).with_name(".trial-0-seed-2.safetensors.0a1b.tmp")
    leftover.write_bytes(b"ha")
    store.clean()
    assert [path.name for path in leftover.parent.iterdir()] == ["trial-0-seed-1.safetensors"]


def test_a_later_attempt_replaces_what_an_earlier_one_left(tmp_path):
    small = ["train.steps=2", "train.eval_every=1", "train.eval_images=20", "train.seeds=1"]
    config = load_config(None, [*small, "search.trials=1"])
    suggest = Space(config).suggest
    owner = StudyOwner(config.settings(), suggest, tmp_path / "study.journal", "run")
    exchange = functools.partial(owner.exchange, "w")

    def dying(**message):
        if message["finals"]:
            raise ConnectionError("the worker dies before it can tell that the trial has ended")
        return exchange(**message)

    def worker(exchange):
        store = Store(tmp_path)
        return Worker(config, name="w", slots=1, device="cpu", exchange=exchange, store=store)

    def finish(worker):
        while not worker.advance().done:
            pass

    def attempt():
        return load_member(tmp_path / weights_name(0, 0))[2].origin["attempt"]

    with pytest.raises(ConnectionError):
        finish(worker(dying))
    assert attempt() == 0
    finish(worker(exchange))
    assert attempt() == 1
    assert len(Store(tmp_path).kept_members()) == 1
