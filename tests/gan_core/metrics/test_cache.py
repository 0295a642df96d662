import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import save

from gan_core.metrics.cache import cache_directory, cached_weights


def weights(value):
    return save({"w": torch.full((1000,), float(value))})


class Maker:
    def __init__(self, value):
        self.calls, self.value = 0, value

    def __call__(self):
        self.calls += 1
        return weights(self.value)


def test_the_directory_is_where_users_expect_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "gansweep"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_directory() == tmp_path / "home" / ".cache" / "gansweep"


def test_weights_are_made_once_and_named_by_the_hash_of_their_file():
    make = Maker(3)
    for _ in range(2):
        tensors, hash_ = cached_weights("a", make)
        assert torch.equal(tensors["w"], torch.full((1000,), 3.0))
        assert hash_ == hashlib.sha256(weights(3)).hexdigest()
    assert make.calls == 1
    assert [file.name for file in cache_directory().iterdir()] == ["a.safetensors"]


def test_another_name_is_another_file():
    cached_weights("a", Maker(1))
    assert cached_weights("b", Maker(2))[0]["w"][0] == 2


@pytest.mark.parametrize("content", [b"", b"no weights", weights(1)[:2000]])
def test_a_damaged_file_is_made_again(content):
    cache_directory().mkdir(parents=True)
    (cache_directory() / "a.safetensors").write_bytes(content)
    make = Maker(2)
    assert cached_weights("a", make)[0]["w"][0] == 2
    cached_weights("a", make)
    assert make.calls == 1


def test_who_comes_second_goes_on_with_the_weights_of_the_first():
    def slow():
        cached_weights("a", Maker(1))  # another process was faster
        return weights(2)

    tensors, hash_ = cached_weights("a", slow)
    assert tensors["w"][0] == 1
    assert hash_ == hashlib.sha256(weights(1)).hexdigest()


def test_a_directory_that_cannot_be_written_costs_a_warning_alone(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        tensors, hash_ = cached_weights("a", Maker(5))
    assert tensors["w"][0] == 5
    assert hash_ == hashlib.sha256(weights(5)).hexdigest()
    assert "cannot keep weights in" in caplog.text


def test_those_who_make_it_at_once_all_go_on_with_the_same():
    barrier = threading.Barrier(8)

    def race(value):
        def make():
            barrier.wait(timeout=400)  # all have found it absent
            return weights(value)

        return cached_weights("a", make)

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(race, range(8)))
    assert len({hash_ for _, hash_ in seen}) == 1
    assert len({tuple(tensors["w"].unique().tolist()) for tensors, _ in seen}) == 1
    assert [file.name for file in cache_directory().iterdir()] == ["a.safetensors"]
