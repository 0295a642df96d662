"""The commands on a sweep that lies in an object store: what they do and where they write."""

import json
import os
import shutil
import subprocess
import sys
import time

import pandas as pd
import pytest
from pyarrow import fs

from analysis.load import load
from sweeps.compaction import compact
from sweeps.continuation import load_study
from sweeps.finding import choose_name
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


@pytest.mark.slow  # judges and draws, as the test of one does
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


@pytest.mark.slow  # trains one again
def test_a_gan_is_drawn_exported_and_trained_again(run, remote, tmp_path):
    code, out, err = run("sample", remote.address, "best")
    assert (code, err) == (0, "")
    assert (tmp_path / "small-trial-1-seed-3.png").exists()
    code, out, _ = run("export", remote.address, "best", "--out", "mine")
    assert code == 0
    assert (tmp_path / "mine" / "G.safetensors").exists()
    code, out, _ = run("replay", remote.address, "best")
    assert (code, "Bitwise equal at all 5 rungs." in out) == (0, True)


@pytest.mark.slow  # ranks all trials
def test_a_confirmation_lies_beside_its_sweep(run, remote, s3_storage):
    code, out, err = run("confirm", remote.address, "--top", "1", "--seeds", "5", "--dry-run")
    assert (code, err) == (0, "")
    assert 'name = "small-confirm"' in out
    assert f'storage = "{s3_storage}"' in out


def test_a_name_that_is_taken_there_is_refused(run, remote, s3_storage):
    code, _, err = run("run", "--name", "small", "--storage", s3_storage)
    assert code == 2
    assert f"exists; `gansweep resume '{remote.address}'` goes on with it" in err


def test_a_name_of_which_only_a_lock_was_left_may_be_used(s3_storage):
    store = Store(child(s3_storage, "digits"))
    store.write_note(".lock", b"{}")
    assert choose_name(s3_storage, None, "digits") == "digits"
    store.write_config("")
    assert choose_name(s3_storage, None, "digits") == "digits-2"


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


@pytest.mark.slow  # loads the sweep after every step
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


SMALL = ["train.steps=400", "train.eval_every=20", "train.eval_images=100", "train.seeds=1"]
SMALL += ["model.generator_widths=[16]", "model.discriminator_widths=[16]", "search.pruner=none"]
SMALL += ["train.checkpoint_every_s=0", "search.max_in_flight=4"]
LIMIT_S = 400  # of one command on a busy machine; it stalls for a minute on purpose


@pytest.mark.slow  # two starts of Ray, and a minute in which a store that is down is waited for
def test_a_sweep_whose_store_fails_goes_on_elsewhere_from_the_store_alone(
    s3, s3_storage, flaky_s3, tmp_path
):
    def gansweep(*arguments, machine):
        own = {"XDG_STATE_HOME": str(tmp_path / machine), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "sweeps", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = os.environ | flaky_s3.FlakyS3.environment | own
        return subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes)

    store = Store(child(s3_storage, "far"))
    s3.share = 0.05
    changes = [word for change in SMALL for word in ("--set", change)]
    begin = ["run", "--storage", s3_storage, "--name", "far", "--trials", "6", *changes]
    process = gansweep(*begin, machine="one")
    end = time.monotonic() + LIMIT_S
    while len(store.kept_trials()) < 4 or store.read_note("study.journal") is None:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.2)
    s3.down = True
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1, stderr
    assert "Traceback" not in stderr
    assert f"gansweep: cannot write {store.location}/" in stderr
    s3.down = False
    rows = sum(len(store.read_part("history", part)) for part in store.parts("history"))
    assert rows

    process = gansweep("resume", store.address, machine="two")
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, stderr
    assert f"The study is taken from its copy in {store.location}" in stderr
    assert "6 of 6 trials ended" in stdout
    sweep = load(store.uri)
    assert list(sweep.trials["trial"]) == list(range(6))
    assert {*sweep.trials["status"]} <= {"complete", "diverged"}
    for _, member in sweep.history.groupby("trial"):
        assert list(member["rung"]) == list(range(len(member)))
        assert not member.duplicated("rung").any()
    ended = sweep.trials.set_index("trial")["steps"] // 20 + 1
    assert (sweep.history.groupby("trial").size() == ended).all()
    (home,) = (tmp_path / "two" / "gansweep").iterdir()
    states = {trial.state.name for trial in load_study(home / "study.journal").trials}
    assert states <= {"COMPLETE", "PRUNED"}
