import dataclasses

import pytest

from benchmarks.results import Key, Record, Results


def test_what_is_written_is_what_is_read(results, tmp_path):
    path = tmp_path / "new" / "results.json"
    results.write(path)
    assert Results.read(path) == results
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_failures_are_kept_but_are_no_measurements(results):
    (failure,) = results.failures()
    assert failure.error == "too little memory"
    assert results.of(failure.key) == {}
    assert failure.key not in results.keys("rates", "digits")


def test_keys_are_of_the_figure_and_the_case_in_the_order_of_measuring(results):
    assert [key.label for key in results.keys("rates", "digits")] == [
        "matmul", "solo", "gansweep K=32", "gansweep K=32 bfloat16",
    ]  # fmt: skip
    assert results.keys("rates", "ring8") == []


def test_equal_keys_of_another_case_are_apart(results):
    key = results.records[0].key
    other = Record(key=dataclasses.replace(key, case="ring8"), session=0, turn=0, values={"x": 1})
    results.records.append(other)
    assert set(results.of(Key(figure="rates", case="ring8", contender="matmul"))) == {0}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sessions": [], "records": [{}]}'])
def test_a_file_that_is_none_of_ours_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json: not a file of results"):
        Results.read(path)
