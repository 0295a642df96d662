import math
import os

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.searches import History, improvements
from benchmarks.searching import OBJECTIVE
from sweeps.compaction import compact
from sweeps.store import Store


def put(folder, name, at, values):
    """A part whose writing ended at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({OBJECTIVE: pa.array(values, pa.float64())}), path)
    os.utime(path, (at, at))
    return path


def test_what_beats_all_before_it_is_an_improvement_in_order_of_time():
    seen = [(30.0, 2.0), (10.0, 5.0), (20.0, 7.0), (40.0, 2.0), (50.0, math.inf)]
    assert improvements(seen, 8.0) == [[2.0, 5.0], [22.0, 2.0]]
    assert improvements([], 8.0) == []


def test_many_parts_count_from_when_they_were_written_whenever_they_are_looked_at(tmp_path):
    history = History(tmp_path)
    history.look()
    assert (history.begun, history.seen) == (math.inf, [])
    parts = 300
    # Written by two workers in turns, so the order of names is not the order of time.
    for i in range(parts):
        put(tmp_path, f"{i % 2}-{i:03}", 1000.0 + i, [500.0 - i, 600.0, None, math.nan])
        if i % 100 == 50:
            history.look()
    history.look()
    history.look()
    assert history.begun == 1000
    assert sorted(history.seen) == [(1000.0 + i, 500.0 - i) for i in range(parts)]
    assert improvements(history.seen, 1000.0) == [[float(i), 500.0 - i] for i in range(parts)]


def test_a_part_that_is_still_written_waits_and_one_without_a_number_improves_nothing(tmp_path):
    put(tmp_path, ".half", 5.0, [1.0])
    put(tmp_path, "poor", 6.0, [None, math.nan, math.inf])
    history = History(tmp_path)
    history.look()
    assert history.seen == [(6.0, math.inf)]
    assert improvements(history.seen, 0.0) == []


def test_what_replaces_the_parts_at_the_end_moves_no_improvement(tmp_path):
    parts = [put(tmp_path, str(i), 10.0 + i, [9.0 - i, 20.0]) for i in range(4)]
    history = History(tmp_path)
    history.look()
    before = improvements(history.seen, 0.0)
    put(tmp_path, "compact", 99.0, [9.0, 8.0, 7.0, 6.0, 20.0, 20.0, 20.0, 20.0])
    history.look()
    for part in parts:
        part.unlink()
    history.look()
    assert improvements(history.seen, 0.0) == before
    assert before == [[10.0, 9.0], [11.0, 8.0], [12.0, 7.0], [13.0, 6.0]]
    assert history.begun == 10


def test_a_part_that_went_before_it_was_seen_counts_late_and_not_early(tmp_path):
    history = History(tmp_path)
    put(tmp_path, "first", 10.0, [9.0])
    history.look()
    put(tmp_path, "unseen", 11.0, [5.0]).unlink()
    put(tmp_path, "compact", 99.0, [9.0, 5.0])
    history.look()
    assert improvements(history.seen, 0.0) == [[10.0, 9.0], [99.0, 5.0]]


def test_a_part_that_goes_while_it_is_read_is_left_out(tmp_path, monkeypatch):
    put(tmp_path, "gone", 10.0, [1.0])
    put(tmp_path, "there", 11.0, [2.0])
    read = pq.read_table

    def late(path, **options):
        if path.name == "gone.parquet":
            path.unlink()
        return read(path, **options)

    monkeypatch.setattr(pq, "read_table", late)
    history = History(tmp_path)
    history.look()
    assert history.seen == [(11.0, 2.0)]


def test_the_compaction_of_a_sweep_moves_no_improvement(tmp_path):
    store, folder = Store(tmp_path), tmp_path / "history"
    schema = Store.schema("history")
    for i in range(4):
        row = dict.fromkeys(schema.names) | {"trial": i, OBJECTIVE: 9.0 - i}
        store.put_part("history", pa.Table.from_pylist([row], schema), f"part-{i}")
    for path in folder.glob("*.parquet"):
        at = 20.0 - pq.read_table(path)[OBJECTIVE][0].as_py()
        os.utime(path, (at, at))
    history = History(folder)
    history.look()
    before = improvements(history.seen, 0.0)
    compact(store, settle_s=0)
    assert len(list(folder.glob("*.parquet"))) == 1
    history.look()
    assert improvements(history.seen, 0.0) == before
    assert before == [[11.0, 9.0], [12.0, 8.0], [13.0, 7.0], [14.0, 6.0]]
