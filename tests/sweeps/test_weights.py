import pytest

from gan_core.export import load_member
from sweeps.weights import KeepWeights, kept_members, weights_path


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
    assert kept_members(tmp_path) == set()
    for trial, seed in ((3, 12), (0, 10**12)):
        path = weights_path(tmp_path, trial, seed)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (path.parent / ".trial-1-seed-2.safetensors.0a1b.tmp").touch()
    (path.parent / "mine.safetensors").touch()
    assert kept_members(tmp_path) == {(3, 12), (0, 10**12)}


def test_a_sweep_keeps_the_complete_and_says_where_they_come_from(small_sweep):
    kept = {(0, 0), (0, 1), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7)}
    assert kept_members(small_sweep) == kept
    for trial, seed in kept:
        _, _, config = load_member(weights_path(small_sweep, trial, seed))
        assert config.gan.seed == seed
        assert config.origin["sweep"] == "small"
        expected = {"trial": trial, "seed": seed, "attempt": 0, "step": 40, "dataset": "digits"}
        assert config.origin.items() >= expected.items()


def test_all_means_the_pruned_and_the_diverged_too(run_small_sweep, tmp_path):
    directory = run_small_sweep(tmp_path / "all", "train.keep_weights=all", "train.steps=20")
    assert kept_members(directory) == {(seed // 2, seed) for seed in range(12)}
    G, D, config = load_member(weights_path(directory, 1, 2))  # broken after 10 steps
    assert config.origin["step"] == 20 - 10
    assert all(p.isfinite().all() for p in D.parameters())
    assert not all(p.isfinite().all() for p in G.parameters())  # the NaN that broke it


def test_none_means_none(run_small_sweep, tmp_path):
    directory = run_small_sweep(tmp_path / "none", "train.keep_weights=none", "train.steps=20")
    assert not (directory / "checkpoints").exists()
