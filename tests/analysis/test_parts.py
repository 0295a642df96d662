from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from pyarrow import fs

from analysis import parts
from analysis.location import Location, locate
from analysis.parts import PartError, SchemaVersionError, read_table, to_frame
from analysis.schema import HISTORY, SCHEMA_VERSION, TRIALS, VERSION_KEY


def write(folder, name, rows, schema=TRIALS, **options):
    folder.mkdir(exist_ok=True)
    rows = [{"trial": 0, "seed": 0, "attempt": 0} | row for row in rows]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name, **options)


def everything(keys):
    return np.arange(len(keys["trial"]))


def table(folder, schema=TRIALS, choose=everything, location=None):
    location = location or locate(folder.parent)
    return read_table(location, folder.name, schema, keys=("trial", "attempt"), choose=choose)


def read(folder, *options):
    return table(folder, *options).frame


def test_an_absent_and_an_empty_folder_have_no_rows_and_every_column(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "empty"):
        pd.testing.assert_frame_equal(read(folder), to_frame(TRIALS.empty_table()))


def test_files_that_begin_with_a_dot_or_are_no_parquet_are_passed_over(tmp_path):
    write(tmp_path, "a.parquet", [{"trial": 1}])
    (tmp_path / ".b.parquet").write_bytes(b"half a par")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".tmp").mkdir()
    assert read(tmp_path)["trial"].tolist() == [1]


def test_rows_come_in_the_order_of_the_names(tmp_path):
    for name in ("b", "c", "a"):
        write(tmp_path, f"{name}.parquet", [{"status": name}])
    assert read(tmp_path)["status"].tolist() == ["a", "b", "c"]


def test_the_rows_chosen_come_in_the_order_chosen(tmp_path):
    write(tmp_path, "a.parquet", [{"trial": 1, "lr_g": 0.1}, {"trial": 2, "lr_g": 0.2}])
    write(tmp_path, "b.parquet", [{"trial": 3, "lr_g": 0.3}, {"trial": 4, "lr_g": 0.4}])
    seen = []

    def choose(keys):
        seen.append({name: values.tolist() for name, values in keys.items()})
        return np.array([3, 0, 2])

    frame = read(tmp_path, TRIALS, choose)
    assert seen == [{"trial": [1, 2, 3, 4], "attempt": [0] * 4}]
    assert frame["lr_g"].tolist() == [0.4, 0.1, 0.3]
    assert frame.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize("bunch_bytes", [1, 10**9])
@pytest.mark.parametrize("large_bytes", [0, 10**9])
def test_how_many_rows_are_read_at_once_makes_no_difference(
    tmp_path, monkeypatch, bunch_bytes, large_bytes
):
    rng = np.random.default_rng(0)
    whole = {"interval_steps": 7, "sweep": "s", "step": 0, "rung": 0}
    rows = [
        {**whole, "trial": i, "d_loss_mean": i / 8, "mode_histogram": rng.random(3).tolist()}
        for i in range(40)
    ]
    rows[5] |= {"interval_steps": None, "d_loss_mean": None, "mode_histogram": None}
    for begin, end in pairwise([0, 1, 2, 17, 20, 40]):
        write(tmp_path, f"{begin:03d}.parquet", rows[begin:end], HISTORY)
    expected = read(tmp_path, HISTORY)
    assert expected["trial"].tolist() == list(range(40))
    monkeypatch.setattr(parts, "_BUNCH_BYTES", bunch_bytes)
    monkeypatch.setattr(parts, "_LARGE_BYTES", large_bytes)
    monkeypatch.setattr(parts, "_PIECE_ROWS", 2)
    pd.testing.assert_frame_equal(read(tmp_path, HISTORY), expected)
    backwards = expected[::-1].reset_index(drop=True)
    last_first = read(tmp_path, HISTORY, lambda keys: np.arange(40)[::-1])
    pd.testing.assert_frame_equal(last_first, backwards)


def test_a_column_that_is_missing_is_null_and_one_too_many_is_left_out(tmp_path):
    newer = pa.schema([*TRIALS, pa.field("later", pa.string())], TRIALS.metadata)
    write(tmp_path, "a.parquet", [{"trial": 1, "later": "x", "lr_g": 0.1}], newer)
    older = pa.schema([f for f in TRIALS if f.name not in ("lr_g", "steps")], TRIALS.metadata)
    write(tmp_path, "b.parquet", [{"trial": 2, "lr_d": 0.5}], older)
    found = table(tmp_path)
    assert found.frame.columns.tolist() == TRIALS.names
    pd.testing.assert_series_equal(found.frame.dtypes, to_frame(TRIALS.empty_table()).dtypes)
    assert found.frame["trial"].tolist() == [1, 2]
    assert found.frame["lr_g"].tolist() == pytest.approx([0.1, float("nan")], nan_ok=True)
    assert found.frame["steps"].isna().all()
    assert found.frame["lr_d"].tolist() == pytest.approx([float("nan"), 0.5], nan_ok=True)
    assert found.lacking == ("lr_g", "steps")


def test_columns_that_are_not_wanted_are_not_read(tmp_path):
    write(tmp_path, "a.parquet", [{"trial": 1, "lr_g": 0.5}])
    wanted = pa.schema([TRIALS.field(name) for name in ("trial", "attempt", "lr_g")])
    found = table(tmp_path, wanted)
    assert found.frame.to_dict("list") == {"trial": [1], "attempt": [0], "lr_g": [0.5]}
    assert found.lacking == ()


def test_a_minor_version_is_read_and_a_newer_version_refused_in_one_line(tmp_path):
    for version in ("1", "1.7"):
        schema = TRIALS.with_metadata({VERSION_KEY: version.encode()})
        write(tmp_path, f"{version}.parquet", [{}], schema)
    assert len(read(tmp_path)) == 2
    newer = str(SCHEMA_VERSION + 1)
    write(tmp_path, "b.parquet", [{}], TRIALS.with_metadata({VERSION_KEY: newer.encode()}))
    right = (
        rf"b\.parquet: has schema version {newer}, this gansweep reads up to {SCHEMA_VERSION}: "
        r".+ newer one$"
    )
    with pytest.raises(SchemaVersionError, match=right) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("large_bytes", [0, 10**9])
def test_a_part_that_was_cut_short_is_named_with_the_way_out_in_one_line(
    tmp_path, monkeypatch, kept, large_bytes
):
    monkeypatch.setattr(parts, "_LARGE_BYTES", large_bytes)
    write(tmp_path, "a.parquet", [{}])
    write(tmp_path, "b.parquet", [{"trial": i} for i in range(50)])
    content = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(content[: int(kept * len(content))])
    right = r"/b\.parquet: is no whole Parquet file; remove it or copy it anew \(.+\)$"
    with pytest.raises(PartError, match=right) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_part_whose_middle_was_overwritten_is_named(tmp_path):
    rows = [{"trial": i, "lr_g": i / 7} for i in range(1000)]
    write(tmp_path, "a.parquet", rows, compression="zstd", use_dictionary=False)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[100 : len(content) // 2] = b"\xff" * (len(content) // 2 - 100)
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(PartError, match=r"a\.parquet: is no whole Parquet file"):
        read(tmp_path)


def test_a_part_of_another_table_is_named_with_the_column(tmp_path):
    text = pa.schema([("trial", pa.int64()), ("attempt", pa.int32()), ("lr_g", pa.string())])
    write(tmp_path, "a.parquet", [{"lr_g": "fast"}], text)
    with pytest.raises(PartError, match=r"a\.parquet: column lr_g: .*fast"):
        read(tmp_path)


def test_a_part_without_a_key_is_named_with_the_key(tmp_path):
    write(tmp_path, "a.parquet", [{"seed": None}])
    right = r"a\.parquet: column seed: has nulls; every row needs one$"
    with pytest.raises(PartError, match=right):
        read(tmp_path)


def test_a_part_that_may_not_be_read_is_no_damaged_one(tmp_path):
    write(tmp_path, "a.parquet", [{}])

    class Guarded(LocalFileSystem):
        def _open(self, path, *args, **kwargs):
            raise PermissionError(13, "Permission denied", path)

    with pytest.raises(PermissionError, match="Permission denied"):
        read(tmp_path, TRIALS, everything, location_of(tmp_path, Guarded()))


def test_a_part_that_compaction_deletes_after_the_listing_is_no_error(tmp_path):
    folder = tmp_path / "trials"
    write(folder, "a.parquet", [{"trial": 1}])

    class Compacting(LocalFileSystem):
        """Local files, of which one is replaced by another as soon as it was listed."""

        def find(self, *args, **kwargs):
            found = super().find(*args, **kwargs)
            if (folder / "a.parquet").exists():
                write(folder, "b.parquet", [{"trial": 1}])
                (folder / "a.parquet").unlink()
            return found

    location = location_of(folder, Compacting(skip_instance_cache=True))
    assert read(folder, TRIALS, everything, location)["trial"].tolist() == [1]
    assert [path.name for path in folder.iterdir()] == ["b.parquet"]


def test_a_folder_that_comes_to_be_as_it_is_listed_is_no_error(tmp_path):
    folder = tmp_path / "trials"
    write(folder, "a.parquet", [{"trial": 1}])

    class Late(LocalFileSystem):
        """Local files as pyarrow sees them if they come between its two looks at a folder."""

        looks = 0

        def find(self, *args, **kwargs):
            self.looks += 1
            if self.looks == 1:
                raise FileNotFoundError(2, "No such file or directory")
            return super().find(*args, **kwargs)

    location = location_of(folder, Late(skip_instance_cache=True))
    assert read(folder, TRIALS, everything, location)["trial"].tolist() == [1]


def location_of(folder, filesystem):
    return Location("here", fs.PyFileSystem(fs.FSSpecHandler(filesystem)), str(folder.parent))
