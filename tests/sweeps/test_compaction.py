import shutil
import threading

import pandas as pd
import pyarrow.parquet as pq
import pytest

import sweeps.compaction
from analysis.load import load
from sweeps.compaction import compact
from sweeps.store import StorageError, Store

TABLES = ("trials", "history", "samples")
KEYS = ["trial", "seed", "attempt", "step"]


def plain(directory):
    """What pandas alone reads, by table."""
    frames = {table: pd.read_parquet(directory / table) for table in TABLES}
    return {
        table: frame.sort_values([k for k in KEYS if k in frame]).reset_index(drop=True)
        for table, frame in frames.items()
    }


def assert_same(found, expected):
    for table in TABLES:
        pd.testing.assert_frame_equal(found[table], expected[table])


def loaded(directory):
    sweep = load(directory)
    return {"trials": sweep.trials, "history": sweep.history, "samples": sweep.samples}


class Watched(Store):
    """Calls back after each change; a call may fail in its stead."""

    def __init__(self, directory, after):
        super().__init__(directory)
        self.after = after

    def put_part(self, table, rows, part):
        super().put_part(table, rows, part)
        self.after()

    def drop_parts(self, table, parts):
        for part in parts:
            super().drop_parts(table, [part])
            self.after()


def test_few_parts_hold_what_many_held(own_sweep):
    before = plain(own_sweep)
    assert len(list((own_sweep / "history").glob("*"))) > 5
    compact(Store(own_sweep), settle_s=0)
    for table in TABLES:
        (part,) = (own_sweep / table).glob("*")
        assert pq.read_schema(part).equals(Store.schema(table))
    assert_same(plain(own_sweep), before)
    assert len(list((own_sweep / "control").glob("*"))) == 1


def test_there_is_no_moment_in_which_a_reader_sees_less(own_sweep):
    before, moments = loaded(own_sweep), []

    def look():
        moments.append(1)
        if len(moments) % 5 == 1:
            assert_same(loaded(own_sweep), before)

    compact(Watched(own_sweep, look), settle_s=0)
    assert len(moments) > 10
    assert_same(loaded(own_sweep), before)


def test_a_reader_beside_it_sees_the_whole_at_any_time(own_sweep):
    store = Store(own_sweep)
    for table in TABLES:
        for name in store.parts(table):
            content = store.read_part(table, name)
            store.drop_parts(table, [name])
            for i in range(content.num_rows):
                store.put_part(table, content.slice(i, 1), f"{name}-{i}")
    before = {table: len(frame) for table, frame in loaded(own_sweep).items()}
    ended, seen, errors = threading.Event(), [], []

    def read():
        try:
            while not ended.is_set():
                seen.append({table: len(frame) for table, frame in loaded(own_sweep).items()})
        except Exception as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    compact(store, settle_s=0.2)
    ended.set()
    reader.join()
    assert errors == []
    assert seen
    assert all(found == before for found in seen)


class CrashError(Exception):
    pass


@pytest.mark.parametrize("changes", [1, 2, 3, 4, 7, 12])
def test_after_a_crash_at_any_moment_the_next_time_ends_it(own_sweep, changes):
    before, left = plain(own_sweep), [changes]

    def crash():
        left[0] -= 1
        if not left[0]:
            raise CrashError

    with pytest.raises(CrashError):
        compact(Watched(own_sweep, crash), settle_s=0)
    compact(Store(own_sweep), settle_s=0)
    assert_same(plain(own_sweep), before)
    for table in TABLES:
        assert len(list((own_sweep / table).glob("*"))) == 1


def test_a_sweep_that_was_extended_is_compacted_again(own_sweep):
    before = plain(own_sweep)
    store = Store(own_sweep)
    compact(store, settle_s=0)
    (part,) = store.parts("trials")
    more = store.read_part("trials", part).slice(0, 1)
    store.put_part("trials", more, "w-again-0001")
    compact(store, settle_s=0)
    (part,) = store.parts("trials")
    assert store.read_part("trials", part).num_rows == len(before["trials"]) + 1


def test_what_is_compact_already_is_left_alone(own_sweep):
    compact(Store(own_sweep), settle_s=0)
    before = {table: Store(own_sweep).parts(table) for table in TABLES}
    compact(Store(own_sweep), settle_s=1000)  # nothing to wait for
    assert {table: Store(own_sweep).parts(table) for table in TABLES} == before


def test_parts_do_not_grow_without_bound(own_sweep, monkeypatch):
    before = plain(own_sweep)
    sizes = Store(own_sweep).parts("history")
    monkeypatch.setattr(sweeps.compaction, "_LARGE_BYTES", 3 * max(sizes.values()))
    compact(Store(own_sweep), settle_s=0)
    assert 1 < len(Store(own_sweep).parts("history")) < len(sizes)
    assert_same(plain(own_sweep), before)


def test_parts_of_another_version_stay_as_they_are(own_sweep):
    store = Store(own_sweep)
    name = min(store.parts("history"))
    older = store.read_part("history", name).drop_columns(["spectral_norm_g"])
    store.put_part("history", older, name)
    compact(store, settle_s=0)
    parts = store.parts("history")
    assert len(parts) == 2
    assert "spectral_norm_g" not in store.read_schema("history", name).names


def test_what_a_person_put_there_is_left_alone(own_sweep):
    mine = own_sweep / "history" / "my notes.parquet"
    shutil.copy(next((own_sweep / "history").glob("*.parquet")), mine)
    compact(Store(own_sweep), settle_s=0)
    assert mine.exists()


def test_a_storage_that_refuses_is_said_and_loses_nothing(own_sweep, caplog):
    before = plain(own_sweep)

    class Full(Store):
        def put_part(self, table, rows, part):
            raise StorageError("cannot write it: No space left on device")

    compact(Full(own_sweep), settle_s=0)
    assert "No space left on device" in caplog.text
    assert_same(plain(own_sweep), before)


def test_a_damaged_part_is_said_and_kept(own_sweep, caplog):
    part = min((own_sweep / "history").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-10])
    compact(Store(own_sweep), settle_s=0)
    assert part.name in caplog.text
    assert part.exists()


def test_a_sweep_without_rows_is_left_without(tmp_path):
    compact(Store(tmp_path), settle_s=0)
    assert list(tmp_path.iterdir()) == []
