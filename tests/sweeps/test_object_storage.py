"""The commands on a sweep that lies in an object store: what they do and where they write."""

import json
import shutil

import pandas as pd
import pytest
from pyarrow import fs

from analysis.load import load
from sweeps.compaction import compact
from sweeps.lease import Holder
from sweeps.store import Store
from sweeps.uri import child


@pytest.fixture
def remote(small_sweep, s3, s3_storage):
    """The small sweep's copy in a store."""
    store = Store(child(s3_storage, "small"))
    root = store.location.removeprefix("s3://")
    fs.copy_files(str(small_sweep), root, destination_filesystem=s3.filesystem(), use_threads=False)
    return store


def test_a_sweep_is_named_by_its_storage_or_its_uri(run, remote, s3_storage):
    for given in (["small", "--storage", s3_storage], [remote.address]):
        code, out, err = run("status", *given)
        assert (code, err) == (0, "")
        assert out.startswith("small: 6 of 6 trials ended\n")
        assert f"Results: {remote.address}\n" in out
    best = remote.home / "best.png"
    assert f"Samples of the best: {best}\n" in out
    assert best.read_bytes().startswith(b"\x89PNG")


def test_all_sweeps_of_a_storage_are_shown(run, remote, s3_storage):
    code, out, _ = run("status", "--storage", s3_storage)
    assert (code, out.count("6 of 6 trials ended")) == (0, 1)


def test_what_is_no_sweep_there_is_refused_naming_those_that_are(run, remote, s3_storage):
    for given in ("smal", "../small", "a/b", "%2e%2e"):
        code, _, err = run("status", given, "--storage", s3_storage)
        assert code == 2
        assert err.count("\n") == 1
        assert "known: small" in err
    code, _, err = run("status", "--storage", "s3://key:secret@b/../c")
    assert (code, "secret" in err) == (2, False)


@pytest.mark.slow  # draws every chart; where the page goes is all that is new
def test_a_report_is_written_here(run, remote, tmp_path):
    code, out, _ = run("report", remote.address)
    assert (code, out) == (0, "small-report.html\n")
    assert "</html>" in (tmp_path / "small-report.html").read_text()


def test_a_gan_is_drawn_exported_and_trained_again(run, remote, tmp_path):
    code, out, err = run("sample", remote.address, "best")
    assert (code, err) == (0, "")
    assert (tmp_path / "small-trial-1-seed-3.png").exists()
    code, out, _ = run("export", remote.address, "best", "--out", "mine")
    assert code == 0
    assert (tmp_path / "mine" / "G.safetensors").exists()
    code, out, _ = run("replay", remote.address, "best")
    assert (code, "Bitwise equal at all 5 rungs." in out) == (0, True)


def test_a_confirmation_lies_beside_its_sweep(run, remote, s3_storage):
    code, out, err = run("confirm", remote.address, "--top", "1", "--seeds", "5", "--dry-run")
    assert (code, err) == (0, "")
    assert 'name = "small-confirm"' in out
    assert f'storage = "{s3_storage}"' in out


def test_a_name_that_is_taken_there_is_refused(run, remote, s3_storage):
    code, _, err = run("run", "--name", "small", "--storage", s3_storage)
    assert code == 2
    assert f"exists; `gansweep resume '{remote.address}'` goes on with it" in err


def test_what_runs_on_another_machine_is_neither_run_nor_stopped_here(run, remote):
    other = Holder("elsewhere", 12, "n", "boot", "began")
    remote.write_note(".lock", json.dumps(other.__dict__).encode())
    code, _, err = run("stop", remote.address)
    assert (code, "is run by process 12 of elsewhere: stop it there" in err) == (2, True)
    code, _, err = run("resume", remote.address)
    assert (code, "is being run by process 12 of elsewhere" in err) == (2, True)
    assert err.count("\n") == 1


def test_a_storage_that_is_not_there_is_one_line(run, s3):
    for command in (["status"], ["status", "a"], ["run", "--name", "a", "--dry-run"]):
        code, _, err = run(*command, "--storage", "s3://key:s3cret@b?nope=1")
        assert code in (1, 2)
        assert err.count("\n") == 1
        assert "s3cret" not in err


def test_compaction_leaves_few_parts_and_the_same_rows(remote):
    before = load(remote.uri)
    assert len(remote.parts("history")) > 1
    compact(remote, settle_s=0)
    assert {table: len(remote.parts(table)) for table in ("history", "samples", "trials")} == {
        "history": 1,
        "samples": 1,
        "trials": 1,
    }
    after = load(remote.uri)
    for table in ("trials", "history", "samples"):
        pd.testing.assert_frame_equal(getattr(after, table), getattr(before, table))


def test_in_no_moment_of_a_compaction_does_a_reader_see_less(remote, monkeypatch):
    before, seen = load(remote.uri), []
    for method in ("put_part", "drop_parts"):
        does = getattr(Store, method)

        def watched(self, *arguments, does=does, method=method):
            does(self, *arguments)
            pd.testing.assert_frame_equal(load(remote.uri).history, before.history)
            seen.append(method)

        monkeypatch.setattr(Store, method, watched)
    compact(remote, settle_s=0)
    assert {*seen} == {"put_part", "drop_parts"}


def test_the_same_sweep_on_a_disk_gives_the_same_frames(remote, small_sweep, tmp_path):
    local = load(shutil.copytree(small_sweep, tmp_path / "copy"))
    there = load(remote.uri)
    for table in ("trials", "history", "control"):
        pd.testing.assert_frame_equal(getattr(there, table), getattr(local, table))
