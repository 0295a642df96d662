import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analysis.columns import column_for, to_frame
from analysis.schema import CONTROL, HISTORY, SAMPLES, TRIALS

FLOATS = pa.list_(pa.float64())


def chunked(values, kind, size=2):
    return pa.chunked_array(
        [pa.array(values[i : i + size], kind) for i in range(0, len(values), size)], kind
    )


def filled(values, kind, *, order=None, name="x", expected_rows=0, spares=None):
    """A column of the values, put in pieces of three rows."""
    column = column_for(pa.field(name, kind), expected_rows)
    for i in range(0, len(values), 3):
        column.append(chunked(values[i : i + 3], kind))
    order = None if order is None else np.array(order, dtype=int)
    return pd.Series(column.finish(order, {} if spares is None else spares))


CASES = {
    "keys": (pa.int64(), "trial", [5, 2**63 - 1, -1, 0, 7, 3, 4]),
    "integers": (pa.int64(), "steps", [5, None, 2**63 - 1, None, None, None, 4]),
    "small integers": (pa.int32(), "steps", [5, 1, 2, 3, 4, 5, 6]),
    "floats": (pa.float64(), "x", [0.5, None, float("nan"), float("inf"), None, None, None]),
    "text": (pa.string(), "x", ["a", None, "b", "a", "a", "", None]),
    "bytes": (pa.binary(), "x", [b"a", None, b"\x00", b"", b"c", b"d", b"e"]),
    "times": (pa.timestamp("us", tz="UTC"), "x", [1, None, 3, 4, 5, 6, 7]),
    "lists": (FLOATS, "x", [[1.0, 2.0], [3.0, 4.0], None, [5.0, None], [7.0, 8.0], None, [9.0, 0]]),
    "ragged lists": (FLOATS, "x", [[1.0], None, [], [2.0, 3.0], [4.0], [5.0, 6.0, 7.0], []]),
    "lists of text": (pa.list_(pa.string()), "x", [["a", "b"], None, [], ["c"], ["d"], ["e"], []]),
}


def plain(values):
    """Lists, in which null, NaN and None alike are None."""
    lists = [list(v) if isinstance(v, list | np.ndarray) else [v] for v in values]
    return [[None if pd.isna(x) else x for x in each] for each in lists]


@pytest.mark.parametrize("case", CASES)
def test_a_column_holds_what_was_appended_whatever_it_expected(case):
    kind, name, values = CASES[case]
    if kind == pa.timestamp("us", tz="UTC"):
        values = pa.array(values, kind).to_pylist()
    for expected_rows in (0, 5, 100):
        series = filled(values, kind, name=name, expected_rows=expected_rows)
        assert plain(series) == plain(values)


@pytest.mark.parametrize("case", CASES)
def test_a_column_gives_the_rows_asked_for_in_the_order_asked_for(case):
    kind, name, values = CASES[case]
    if kind == pa.timestamp("us", tz="UTC"):
        values = pa.array(values, kind).to_pylist()
    order = [6, 0, 3, 2]
    series = filled(values, kind, name=name, order=order)
    assert plain(series) == plain([values[i] for i in order])
    assert len(filled(values, kind, name=name, order=[])) == 0


def test_the_memory_of_one_column_serves_the_next_and_is_not_shared():
    spares = {}
    order = [2, 0, 1]
    series = [
        filled([x, x + 1, x + 2], pa.float64(), order=order, spares=spares) for x in (0.0, 10.0, 20)
    ]
    assert [s.tolist() for s in series] == [[x + 2, x, x + 1] for x in (0, 10, 20)]
    assert len(spares) == 1


@pytest.mark.parametrize("schema", [TRIALS, HISTORY, CONTROL, SAMPLES])
def test_dtypes_are_those_of_an_empty_frame_whatever_the_values(schema):
    empty = to_frame(schema.empty_table()).dtypes
    keys = {"trial": 1, "seed": 2, "attempt": 0, "rung": 3, "step": 4}
    nulls = pa.Table.from_pylist([{k: v for k, v in keys.items() if k in schema.names}], schema)
    pd.testing.assert_series_equal(to_frame(nulls).dtypes, empty)


def test_whole_numbers_stay_whole_where_some_are_null():
    schema = pa.schema([("steps", pa.int64()), ("seed", pa.int64())])
    rows = [{"steps": 2**62 + 1, "seed": 2**63 - 1}, {"seed": 0}]
    frame = to_frame(pa.Table.from_pylist(rows, schema))
    assert frame["steps"].tolist() == [2**62 + 1, pd.NA]
    assert frame["seed"].tolist() == [2**63 - 1, 0]
    assert frame["seed"].dtype == "int64"


def test_lists_answer_to_pandas_and_stack_to_an_array():
    series = to_frame(pa.table({"h": pa.array([[0.5, 0.5], None, [1.0, None]], FLOATS)}))["h"]
    assert series.isna().tolist() == [False, True, False]
    assert series.list.len().tolist() == [2, pd.NA, 2]
    block = np.stack(series.dropna().tolist())
    assert np.array_equal(block, [[0.5, 0.5], [1.0, np.nan]], equal_nan=True)
