"""Sweeps are found by name, path and URI, and new ones never meet one that is there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from gan_core.config import ConfigError
from sweeps import finding
from sweeps.finding import (
    check_new,
    choose_name,
    find_sweep,
    list_sweeps,
    make_sweep,
    short_name,
)
from sweeps.lock import SweepLock
from sweeps.store import Store


def test_a_sweep_without_a_name_gets_the_next_free_one(tmp_path):
    storage = tmp_path / "runs"
    assert choose_name(str(storage), None, "digits") == "digits"
    assert not storage.exists()
    (storage / "digits").mkdir(parents=True)
    (storage / "digits-2").touch()
    assert choose_name(str(storage), None, "digits") == "digits-3"
    assert choose_name(str(storage), None, "mnist") == "mnist"


def test_a_name_that_exists_is_refused_with_the_way_to_resume(tmp_path):
    (tmp_path / "mine" / "trials").mkdir(parents=True)
    with pytest.raises(ConfigError) as caught:
        choose_name(str(tmp_path), "mine", "digits")
    assert f"`gansweep resume {tmp_path / 'mine'}` goes on with it" in str(caught.value)
    assert "--name" in str(caught.value)


def test_sweeps_without_a_name_that_begin_at_once_get_directories_of_their_own(tmp_path):
    together = Barrier(8)

    def begin(_):
        together.wait()
        return make_sweep(str(tmp_path / "runs"), None, "digits")

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(begin, range(8)))
    expected = {"digits", *(f"digits-{n}" for n in range(2, 9))}
    assert {store.name for store in made} == expected
    assert all(store.home.is_dir() for store in made)


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", ".sweep.toml.1a2b3c4d.tmp"]])
def test_what_a_run_leaves_that_was_killed_as_it_began_is_nobodys(tmp_path, left):
    ghost = tmp_path / "mine"
    ghost.mkdir()
    for name in left:
        (ghost / name).touch()
    assert choose_name(str(tmp_path), "mine", "digits") == "mine"
    assert make_sweep(str(tmp_path), "mine", "digits").home == ghost
    assert choose_name(str(tmp_path), None, "mine") == "mine-2"  # which may just have begun
    with SweepLock(ghost), pytest.raises(ConfigError, match="exists"):
        choose_name(str(tmp_path), "mine", "digits")


@pytest.mark.parametrize("left", ["sweep.toml", "study.journal", ".hidden", "trials"])
def test_what_holds_anything_else_is_left_alone(tmp_path, left):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / left).touch()
    with pytest.raises(ConfigError, match="exists"):
        make_sweep(str(tmp_path), "mine", "digits")


def test_a_link_is_no_leftover(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "empty")
    with pytest.raises(ConfigError, match="exists"):
        make_sweep(str(tmp_path), "mine", "digits")


def test_a_sweep_that_somebody_began_meanwhile_is_no_new_one(tmp_path):
    store = make_sweep(str(tmp_path), "mine", "digits")
    check_new(store)
    store.write_config("name = 'mine'")
    with pytest.raises(ConfigError, match="exists"):
        check_new(store)


def test_a_name_that_is_taken_in_between_is_left_to_whoever_took_it(tmp_path, monkeypatch):
    def choose_too_late(storage, wanted, dataset):
        chosen = choose_name(storage, wanted, dataset)
        (Path(storage) / chosen).mkdir(exist_ok=True)
        if wanted:
            (Path(storage) / chosen / "sweep.toml").touch()
        if chosen == "digits-3":
            (Path(storage) / chosen).rmdir()
        return chosen

    monkeypatch.setattr(finding, "choose_name", choose_too_late)
    assert make_sweep(str(tmp_path), None, "digits").name == "digits-3"
    with pytest.raises(ConfigError, match='name = "mine": exists; `gansweep resume'):
        make_sweep(str(tmp_path), "mine", "digits")


def test_a_dangling_link_holds_its_name(tmp_path):
    (tmp_path / "digits").symlink_to(tmp_path / "nowhere")
    assert choose_name(str(tmp_path), None, "digits") == "digits-2"


def test_a_sweep_is_called_by_its_name_where_that_finds_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_name(Store(tmp_path / "runs" / "digits")) == "digits"
    assert short_name(Store(tmp_path / "other" / "digits")) == f"{tmp_path}/other/digits"
    monkeypatch.chdir("/")
    assert short_name(Store(tmp_path / "runs" / "digits")) == f"{tmp_path}/runs/digits"


def test_a_sweep_is_found_by_name_and_by_path(tmp_path, monkeypatch):
    sweep = tmp_path / "runs" / "digits"
    sweep.mkdir(parents=True)
    (sweep / "sweep.toml").touch()
    (tmp_path / "runs" / "notes").mkdir()
    monkeypatch.chdir(tmp_path / "runs")
    assert find_sweep("digits", str(tmp_path / "runs")).home == sweep
    assert find_sweep("digits", str(tmp_path / "elsewhere")).home == sweep
    assert find_sweep(str(sweep), str(tmp_path / "elsewhere")).home == sweep
    assert list_sweeps(str(tmp_path / "runs")) == ["digits"]
    assert list_sweeps(f"file://{tmp_path}/runs") == ["digits"]
    for given in ("digits", f"file://{sweep}"):
        assert find_sweep(given, f"file://{tmp_path}/runs").home == sweep


@pytest.mark.parametrize("given", ["", ".", "digit", "/"])
def test_what_is_no_sweep_is_refused_naming_those_that_are(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no such sweep; runs holds none"):
        find_sweep(given, "runs")
    sweep = tmp_path / "runs" / "digits"
    sweep.mkdir(parents=True)
    (sweep / "sweep.toml").touch()
    with pytest.raises(ConfigError, match=r"there is no such sweep; in .*known: digits"):
        find_sweep(given, str(tmp_path / "runs"))
