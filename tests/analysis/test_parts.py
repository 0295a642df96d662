import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from pyarrow import fs

from analysis.parts import SchemaVersionError, read_parts, to_frame
from analysis.schema import HISTORY, TRIALS, VERSION_KEY

LOCAL = fs.LocalFileSystem()


def write(folder, name, rows, schema=TRIALS):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name)


def read(folder):
    return read_parts(LOCAL, str(folder), TRIALS)


def test_an_absent_and_an_empty_folder_have_no_rows_and_every_column(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        assert read(folder).schema.equals(TRIALS)
        assert read(folder).num_rows == 0


@pytest.mark.parametrize("schema", [TRIALS, HISTORY], ids=["trials", "history"])
def test_dtypes_are_those_of_an_empty_frame_whatever_the_values(schema):
    empty = to_frame(schema.empty_table()).dtypes
    keys = {"trial": 1, "seed": 2, "attempt": 0, "rung": 3, "step": 4}
    nulls = pa.Table.from_pylist([{k: v for k, v in keys.items() if k in schema.names}], schema)
    pd.testing.assert_series_equal(to_frame(nulls).dtypes, empty)


def test_seeds_beyond_the_exact_range_of_floats_are_kept(tmp_path):
    write(tmp_path, "a.parquet", [{"trial": 0, "seed": 2**63 - 1, "attempt": 0}])
    assert to_frame(read(tmp_path))["seed"].tolist() == [2**63 - 1]


def test_files_that_begin_with_a_dot_or_are_no_parquet_are_passed_over(tmp_path):
    write(tmp_path, "a.parquet", [{"trial": 1}])
    (tmp_path / ".b.parquet").write_bytes(b"half a par")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".tmp").mkdir()
    assert read(tmp_path)["trial"].to_pylist() == [1]


def test_rows_come_in_the_order_of_the_names(tmp_path):
    for name in ("b", "c", "a"):
        write(tmp_path, f"{name}.parquet", [{"status": name}])
    assert read(tmp_path)["status"].to_pylist() == ["a", "b", "c"]


def test_a_column_that_is_missing_is_null_and_one_too_many_is_left_out(tmp_path):
    newer = pa.schema([*TRIALS, pa.field("later", pa.string())], TRIALS.metadata)
    write(tmp_path, "a.parquet", [{"trial": 1, "later": "x"}], newer)
    older = pa.schema([f for f in TRIALS if f.name != "lr_g"], TRIALS.metadata)
    write(tmp_path, "b.parquet", [{"trial": 2, "lr_d": 0.5}], older)
    table = read(tmp_path)
    assert table.schema.equals(TRIALS)
    assert table["trial"].to_pylist() == [1, 2]
    assert table["lr_g"].to_pylist() == [None, None]
    assert table["lr_d"].to_pylist() == [None, 0.5]


def test_a_minor_version_is_read_and_a_newer_version_refused_in_one_line(tmp_path):
    write(tmp_path, "a.parquet", [{"trial": 1}], TRIALS.with_metadata({VERSION_KEY: b"1.7"}))
    assert read(tmp_path).num_rows == 1
    write(tmp_path, "b.parquet", [{"trial": 1}], TRIALS.with_metadata({VERSION_KEY: b"3"}))
    right = r"b\.parquet: has schema version 3, this gansweep reads up to 2: .+ newer one$"
    with pytest.raises(SchemaVersionError, match=right) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_part_that_compaction_deletes_after_the_listing_is_no_error(tmp_path):
    write(tmp_path, "a.parquet", [{"trial": 1}])

    class Compacting(LocalFileSystem):
        """Local files, of which one is replaced by another as soon as it was listed."""

        def find(self, *args, **kwargs):
            found = super().find(*args, **kwargs)
            if (tmp_path / "a.parquet").exists():
                write(tmp_path, "b.parquet", [{"trial": 1}])
                (tmp_path / "a.parquet").unlink()
            return found

    compacting = fs.PyFileSystem(fs.FSSpecHandler(Compacting(skip_instance_cache=True)))
    assert read_parts(compacting, str(tmp_path), TRIALS)["trial"].to_pylist() == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["b.parquet"]
