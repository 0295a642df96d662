import math
import os
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sweeps.store
from analysis.schema import CONTROL, HISTORY, IMPORTANCES, SAMPLES, TRIALS, VERSION_KEY
from sweeps.store import StorageError, Store, TableName

SCHEMAS = {
    "trials": TRIALS,
    "history": HISTORY,
    "samples": SAMPLES,
    "control": CONTROL,
    "importances": IMPORTANCES,
}
ENDED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
PACKAGES_HOME = Path(sweeps.store.__file__).parents[1]


def row(table, **values):
    return dict.fromkeys(SCHEMAS[table].names) | values


def trial(number, **values):
    return row("trials", sweep="s", trial=number, seed=0, attempt=0, status="complete") | values


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs" / "s")


def test_members_are_kept_until_they_are_dropped(store):
    assert store.read_members(3) is None
    store.drop_members([3])
    store.write_members(3, b"once")
    store.write_members(3, b"again")
    assert store.read_members(3) == b"again"
    assert [path.name for path in (store.home / "members").iterdir()] == ["trial-3.safetensors"]
    assert store.kept_trials() == {3}
    store.drop_members([2, 3])
    assert store.read_members(3) is None
    store.write_members(4, b"left over")
    store.forget_members()
    store.forget_members()
    assert not (store.home / "members").exists()


def test_members_that_cannot_be_read_are_no_absent_ones(store):
    (store.home / "members" / "trial-3.safetensors").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot read .*trial-3\.safetensors: "):
        store.read_members(3)


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_table_is_written_with_its_own_schema(store, table):
    store.write(table, [row(table, sweep="s")], "part-0")
    written = pq.read_schema(store.home / table / "part-0.parquet")
    assert written.equals(SCHEMAS[table])
    assert written.metadata[VERSION_KEY] == SCHEMAS[table].metadata[VERSION_KEY]


def test_every_table_of_the_schema_has_a_name():
    assert set(TableName) == set(SCHEMAS)


def test_plain_pandas_reads_back_what_was_written_without_gansweep(store, tmp_path):
    values = trial(7, lr_g=1e-3, latent_dim=64, loss="hinge", steps=10, ended_at=ENDED)
    store.write(TableName.TRIALS, [values], "w0-0")
    store.write(TableName.TRIALS, [trial(8)], "w1-0")
    store.write("history", [row("history", trial=7, mode_histogram=[0.25, 0.75])], "w0-0")
    store.write("samples", [row("samples", trial=7, png=b"\x89PNG\x00\xff")], "w0-0")
    # -I and -S keep out the checkout and whatever is installed; None hides a name for good.
    script = """
import sys
sys.path.append(sys.argv[2])
sys.modules.update(sweeps=None, gan_core=None, analysis=None)
import pandas
trials = pandas.read_parquet(sys.argv[1] + "/trials").set_index("trial").sort_index()
assert list(trials.index) == [7, 8]
seven = trials.loc[7]
assert (seven.lr_g, seven.latent_dim, seven.loss, seven.steps) == (1e-3, 64, "hinge", 10)
assert str(seven.ended_at) == "2026-01-02 03:04:05.678901+00:00"
assert trials.loc[8, ["lr_g", "loss", "ended_at"]].isna().all()
history = pandas.read_parquet(sys.argv[1] + "/history")
assert list(history.mode_histogram[0]) == [0.25, 0.75]
assert pandas.read_parquet(sys.argv[1] + "/samples").png[0] == b"\\x89PNG\\x00\\xff"
"""
    third_party = str(Path(pd.__file__).parents[1])
    command = [sys.executable, "-I", "-S", "-c", script, str(store.home), third_party]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=400)


def test_types_do_not_depend_on_values(store):
    store.write("trials", [trial(0, label_smoothing=None, loss=None, error=None)], "nulls")
    store.write("trials", [trial(1, label_smoothing=0.1, loss="lsgan", error="x")], "values")
    types = {pq.read_schema(path) for path in (store.home / "trials").iterdir()}
    assert len(types) == 1


def test_numpy_scalars_are_values(store):
    scalars = {"lr_g": np.float32(0.5), "steps": np.int64(3), "final_mode_kl": np.float64("nan")}
    store.write("trials", [trial(np.int32(4), **scalars)], "part")
    read = pq.read_table(store.home / "trials").to_pylist()[0]
    assert (read["trial"], read["lr_g"], read["steps"], read["final_mode_kl"]) == (4, 0.5, 3, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_null_in_columns_and_lists(store, value):
    values = {"frechet_distance": value, "d_loss_mean": 1.0, "nonfinite_steps": 3}
    store.write("history", [row("history", mode_histogram=[0.5, value], **values)], "part")
    read = pq.read_table(store.home / "history").to_pylist()[0]
    assert read["frechet_distance"] is None
    assert read["mode_histogram"] == [0.5, None]
    assert (read["d_loss_mean"], read["nonfinite_steps"]) == (1.0, 3)


@pytest.mark.parametrize("table", SCHEMAS)
def test_a_missing_a_misspelt_and_a_surplus_column_are_refused(store, table):
    name = SCHEMAS[table].names[-1]
    missing = {key: value for key, value in row(table).items() if key != name}
    with pytest.raises(ValueError, match=f"{table}: .*missing: {name}; unknown: none"):
        store.write(table, [missing], "part")
    with pytest.raises(ValueError, match=f"missing: {name}; unknown: {name}x"):
        store.write(table, [missing | {name + "x": None}], "part")
    with pytest.raises(ValueError, match="missing: none; unknown: extra"):
        store.write(table, [row(table), row(table, extra=1)], "part")
    assert not store.home.exists()


def test_a_value_of_the_wrong_type_is_refused_with_its_column(store):
    with pytest.raises(ValueError, match=r"trials\.latent_dim: not int64"):
        store.write("trials", [trial(0, latent_dim="many")], "part")
    with pytest.raises(ValueError, match=r"trials\.steps: not int64"):
        store.write("trials", [trial(0, steps=1.5)], "part")


def test_an_unknown_table_is_refused(store):
    with pytest.raises(ValueError, match="trails"):
        store.write("trails", [trial(0)], "part")


@pytest.mark.parametrize("part", ["", ".hidden", "_hidden", "a/b", "../a", "a b", "x" * 201])
def test_a_part_that_readers_would_skip_or_that_is_no_name_is_refused(store, part):
    with pytest.raises(ValueError, match="part = "):
        store.write("trials", [trial(0)], part)


def test_no_rows_write_nothing(store):
    store.write("trials", [], "part")
    assert not store.home.exists()


def test_a_repeated_write_does_not_double_its_rows(store):
    for _ in range(2):
        store.write("trials", [trial(0), trial(1)], "part")
    assert len(pd.read_parquet(store.home / "trials")) == 2


def test_the_config_is_replaced_whole(store):
    store.write_config("a" * 1000)
    store.write_config('name = "ä"\n')
    assert (store.home / "sweep.toml").read_text(encoding="utf-8") == 'name = "ä"\n'
    assert [path.name for path in store.home.iterdir()] == ["sweep.toml"]


def test_leftovers_are_skipped_by_readers_and_cleaned(store):
    store.write("trials", [trial(0)], "part")
    store.write_config("")
    folder = store.home / "trials"
    leftovers = [folder / ".part-1.parquet.0a1b.tmp", store.home / ".sweep.toml.0a1b.tmp"]
    for leftover in leftovers:
        leftover.write_bytes(b"half a file")
    (folder / ".DS_Store").write_bytes(b"not ours")
    assert len(pd.read_parquet(folder)) == 1
    store.clean()
    assert not any(leftover.exists() for leftover in leftovers)
    assert sorted(path.name for path in folder.iterdir()) == [".DS_Store", "part.parquet"]


def test_cleaning_where_nothing_was_written_is_fine(store):
    store.clean()


def test_parts_are_readable_by_others(store):
    mask = os.umask(0o022)
    try:
        store.write("trials", [trial(0)], "part")
    finally:
        os.umask(mask)
    assert (store.home / "trials" / "part.parquet").stat().st_mode & 0o777 == 0o644


def test_a_path_that_cannot_be_a_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"^cannot write \S*/file/trials/part\.parquet: Not a"):
        Store(tmp_path / "file").write("trials", [trial(0)], "part")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_one_clear_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match=r"^cannot write .*part\.parquet: Permission denied$"):
        Store(tmp_path).write("trials", [trial(0)], "part")


def test_a_disk_that_takes_no_more_is_one_clear_line_and_leaves_nothing(store):
    store.write("samples", [row("samples", trial=0, png=b"small")], "part")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"^cannot write .*/samples/big\.parquet: File too"):
            store.write("samples", [row("samples", trial=1, png=os.urandom(200_000))], "big")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    folder = store.home / "samples"
    assert [path.name for path in folder.iterdir()] == ["part.parquet"]
    assert list(pd.read_parquet(folder).trial) == [0]


WRITER = """
import sys
from analysis.schema import HISTORY
from sweeps.store import Store
store, parts = Store(sys.argv[1]), int(sys.argv[2])
empty = dict.fromkeys(HISTORY.names)
number = 0
while number < parts:
    rows = [empty | {"trial": number, "seed": seed, "d_loss_mean": 0.5} for seed in range(8)]
    store.write("history", rows, f"w-{number:06}")
    number += 1
"""


def start_writer(directory, parts):
    environment = os.environ | {"PYTHONPATH": str(PACKAGES_HOME)}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), str(parts)], env=environment
    )


def wait_for_rows(folder, writer):
    deadline = time.monotonic() + 60
    while not any(folder.glob("*.parquet")):
        assert writer.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_reader_beside_a_writer_sees_whole_parts_at_any_moment(store):
    folder = store.home / "history"
    writer = start_writer(store.home, 100)
    wait_for_rows(folder, writer)
    seen = []
    while True:
        ended = writer.poll() is not None
        table = pd.read_parquet(folder)
        counts = table.groupby("trial").size()
        assert (counts == 8).all()
        assert list(counts.index) == list(range(len(counts)))
        assert (table.d_loss_mean == 0.5).all()
        seen.append(len(counts))
        if ended:
            break
    assert writer.returncode == 0
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_a_writer_killed_at_any_moment_leaves_a_readable_folder(store):
    folder = store.home / "history"
    for _ in range(3):
        writer = start_writer(store.home, 1_000_000)
        wait_for_rows(folder, writer)
        time.sleep(0.2)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert (pd.read_parquet(folder).groupby("trial").size() == 8).all()
    store.clean()
    assert all(path.suffix == ".parquet" for path in folder.iterdir())
    assert isinstance(pq.read_table(folder), pa.Table)
