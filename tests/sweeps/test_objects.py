"""A sweep's files in an object store, on a real S3 protocol."""

import io
import pickle
import time

import pytest

from analysis.schema import HISTORY, TRIALS
from sweeps.files import StorageError
from sweeps.objects import ObjectFiles
from sweeps.store import Store, TableName
from sweeps.uri import child


@pytest.fixture
def store(s3_storage):
    return Store(child(s3_storage, "digits"))


def history(trial, rungs=3):
    return [dict.fromkeys(HISTORY.names) | {"trial": trial, "rung": rung} for rung in range(rungs)]


def test_a_store_writes_lists_reads_and_removes_parts(store):
    assert store.parts(TableName.HISTORY) == {}
    for trial in range(3):
        store.write("history", history(trial), f"w-{trial}")
    store.write("history", history(2), "w-2")
    assert sorted(store.parts(TableName.HISTORY)) == ["w-0", "w-1", "w-2"]
    assert all(size > 100 for size in store.parts(TableName.HISTORY).values())
    rows = store.read_part(TableName.HISTORY, "w-1", ["trial", "rung", "of an older version"])
    assert rows.to_pylist() == [{"trial": 1, "rung": rung} for rung in range(3)]
    assert store.read_schema(TableName.HISTORY, "w-1").equals(HISTORY)
    store.drop_parts(TableName.HISTORY, ["w-0", "w-1", "never"])
    assert list(store.parts(TableName.HISTORY)) == ["w-2"]


def test_it_keeps_the_config_members_weights_and_notes(store):
    assert (store.has_config(), store.read_config()) == (False, None)
    store.write_config('name = "ä"\n')
    assert (store.has_config(), store.read_config()) == (True, 'name = "ä"\n')
    assert store.read_members(3) is None
    for trial in (3, 4):
        store.write_members(trial, b"kept")
    assert (store.read_members(3), store.kept_trials()) == (b"kept", {3, 4})
    store.drop_members([2, 3])
    assert store.kept_trials() == {4}
    store.forget_members()
    assert store.kept_trials() == set()
    store.write_weights(1, 2, b"weights")
    assert store.kept_members() == {(1, 2)}
    with store.weights(1, 2) as path:
        assert path.read_bytes() == b"weights"
    assert not path.exists()
    with pytest.raises(StorageError, match=r"trial-0-seed-0\.safetensors: there is no such obj"):
        store.weights(0, 0).__enter__()
    store.write_note(".note", b"1")
    assert (store.read_note(".note"), ".note" in store.changed_ns()) == (b"1", True)
    store.drop_note(".note")
    assert store.read_note(".note") is None


def test_its_state_changes_with_its_results_alone(store):
    store.write_config("")
    store.write("trials", [dict.fromkeys(TRIALS.names)], "w-0")
    before = store.state()
    store.write_note(".lock", b"")
    assert store.state() == before
    store.write("trials", [dict.fromkeys(TRIALS.names)], "w-1")
    assert store.state() > before


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "a\\b", "%2e%2e", ""])
def test_no_name_leads_out_of_it(store, name):
    with pytest.raises(ValueError, match="part = "):
        store.write("history", history(0), name)
    with pytest.raises(ValueError, match="note = "):
        store.write_note(name, b"")


def test_requests_that_fail_are_repeated_until_they_do_not(s3, store):
    s3.share = 0.3
    for trial in range(4):
        store.write("history", history(trial), f"w-{trial}")
    names = store.parts(TableName.HISTORY)
    assert len(names) == 4
    assert sum(len(store.read_part(TableName.HISTORY, name)) for name in names) == 12
    store.drop_parts(TableName.HISTORY, names)
    assert store.parts(TableName.HISTORY) == {}
    assert s3.counts["refused"] + s3.counts["lost"] > 0


def test_a_store_that_is_down_stalls_and_then_is_one_clear_line(s3, store):
    s3.down = True
    short = Store(store.uri.replace("s3://", "s3://AKIA:s3cret@"), patience_s=1)
    before = len(s3.requests)
    with pytest.raises(StorageError) as error:
        short.write("history", history(0), "w")
    assert len(s3.requests) - before >= 3
    assert str(error.value).startswith(f"cannot write {store.location}/history/w.parquet: ")
    for hidden in ("AKIA", "s3cret", "\n"):
        assert hidden not in str(error.value)


def test_what_no_repetition_helps_is_said_at_once(s3, store):
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"^cannot write s3://nobody/x/sweep.toml: .*not found"):
        Store(s3.uri("nobody/x")).write_config("")
    with pytest.raises(StorageError, match="Unrecognized filesystem type") as error:
        Store("nope://AKIA:s3cret@b/x").write_config("")
    assert "s3cret" not in str(error.value)
    assert time.monotonic() - begun < 50  # the patience that it did not have


def test_a_store_travels_with_its_credentials_and_shows_none(store):
    secret = Store(store.uri.replace("s3://", "s3://AKIA:s3cret@"), patience_s=7)
    arrived = pickle.loads(pickle.dumps(secret))
    assert (arrived.uri, arrived.home) == (secret.uri, secret.home)
    for shown in (repr(arrived), f"{arrived}", arrived.location, arrived.address, arrived.name):
        assert "s3cret" not in shown
        assert "AKIA" not in shown
    assert arrived.address == store.address  # the endpoint is none
    arrived.write_config("a")
    assert store.read_config() == "a"


def test_sweeps_in_a_store_are_found_by_their_config(s3_storage, store):
    files = ObjectFiles(s3_storage)
    assert (files.folders_with("sweep.toml"), files.names()) == ([], set())
    store.write_config("")
    Store(child(s3_storage, "other")).write_note("notes", b"")
    assert files.folders_with("sweep.toml") == ["digits"]
    assert files.names() == {"digits", "other"}


def test_a_server_fails_as_many_requests_as_it_is_told_the_same_for_a_seed(flaky_s3):
    def pattern(seed):
        with flaky_s3.FlakyS3(share=0.3, seed=seed) as s3:
            wire = s3._answer
            environ = {"REQUEST_METHOD": "HEAD", "PATH_INFO": "/", "SERVER_NAME": "s3"}
            answers = []
            s3._app = lambda *_: ()
            for _ in range(200):
                wire(
                    environ | {"wsgi.input": io.BytesIO()}, lambda status, _: answers.append(status)
                )
            return dict(s3.counts), answers

    first, again, other = pattern(1), pattern(1), pattern(2)
    assert first == again
    assert first != other
    failed = first[0]["refused"] + first[0]["lost"]
    assert 30 < failed < 90
    assert len(first[1]) == failed
