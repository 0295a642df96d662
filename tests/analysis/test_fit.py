import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.fit import Fits, PartError, SchemaVersionError, check_keys, keys_with_nulls
from analysis.schema import SCHEMA_VERSION, VERSION_KEY

WANTED = pa.schema([("trial", pa.int64()), ("a", pa.float64()), ("b", pa.string())])


def fit(fits, rows, schema, **options):
    """The fit of a part of these rows, and what becomes of them."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema), sink, **options)
    with pq.ParquetFile(pa.BufferReader(sink.getvalue())) as file:
        found = fits.of("x.parquet", file)
        return found, found.conform("x.parquet", file.read(columns=found.names))


def test_a_part_with_the_columns_wanted_is_taken_as_it_is():
    found, table = fit(Fits(WANTED), [{"trial": 1, "a": 0.5, "b": "x"}], WANTED)
    assert (found.names, found.lacking, found.is_exact) == (None, frozenset(), True)
    assert table.to_pylist() == [{"trial": 1, "a": 0.5, "b": "x"}]


@pytest.mark.parametrize("store_schema", [True, False])
def test_columns_are_left_out_added_and_sorted_until_they_are_those_wanted(store_schema):
    schema = pa.schema([("c", pa.int64()), ("b", pa.string()), ("trial", pa.int32())])
    fits = Fits(WANTED)
    for _ in range(2):
        row = {"c": 1, "b": "x", "trial": 7}
        found, table = fit(fits, [row], schema, store_schema=store_schema)
        assert found.names == ["trial", "b"]
        assert found.lacking == {"a"}
        assert table.schema.equals(WANTED)
        assert table.to_pylist() == [{"trial": 7, "a": None, "b": "x"}]


def test_parts_of_several_schemas_each_have_their_own_fit():
    fits = Fits(WANTED)
    fewer = WANTED.remove(1)
    found = [fit(fits, [{"trial": 1}], schema)[0] for schema in (WANTED, fewer, WANTED, fewer)]
    assert [each.is_exact for each in found] == [True, False, True, False]
    assert found[0] is found[2]
    assert found[1] is found[3]


def test_a_newer_version_is_refused_also_after_parts_of_this_one():
    fits = Fits(WANTED)
    for version in ("1", f"{SCHEMA_VERSION}.9"):
        fit(fits, [], WANTED.with_metadata({VERSION_KEY: version.encode()}))
    newer = WANTED.with_metadata({VERSION_KEY: str(SCHEMA_VERSION + 1).encode()})
    for _ in range(2):
        with pytest.raises(SchemaVersionError, match=r"^x\.parquet: has schema version"):
            fit(fits, [], newer)


def test_a_column_that_cannot_be_what_is_wanted_is_named():
    text = pa.schema([("trial", pa.int64()), ("a", pa.string())])
    with pytest.raises(PartError, match=r"^x\.parquet: column a: .*fast"):
        fit(Fits(WANTED), [{"a": "fast"}], text)


def test_keys_need_a_value_in_every_row_and_other_columns_do_not():
    table = pa.Table.from_pylist([{"trial": 1, "a": None}, {"trial": None}], WANTED)
    assert keys_with_nulls(table) == ["trial"]
    assert keys_with_nulls(table[:1]) == []
    check_keys("x.parquet", table[:1])
    with pytest.raises(PartError, match=r"^x\.parquet: column trial: has nulls"):
        check_keys("x.parquet", table)
