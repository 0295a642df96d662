import pytest

from benchmarks.quote import documents, requoted
from benchmarks.tables import targets


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_documents_say_what_the_results_say(path):
    text = path.read_text()
    assert requoted(text) == text, "python -m benchmarks --quote renews it"


def test_what_is_quoted_is_replaced_and_the_rest_left(results, tmp_path):
    results.write(tmp_path / "some.json")
    text = "a\n<!-- benchmarks: some.json targets -->\nold\n<!-- benchmarks: end -->\nb\n"
    new = requoted(text, tmp_path)
    begin, _, end = new.partition(targets(results))
    assert begin == "a\n<!-- benchmarks: some.json targets -->\n\n"
    assert end == "\n\n<!-- benchmarks: end -->\nb\n"
    assert requoted(new, tmp_path) == new


@pytest.mark.parametrize(
    ("marker", "message"),
    [("absent.json targets", "absent.json: not a file"), ("some.json no", "no: must be one of")],
)
def test_a_quotation_of_what_there_is_not_is_refused(results, tmp_path, marker, message):
    results.write(tmp_path / "some.json")
    text = f"<!-- benchmarks: {marker} -->\nold\n<!-- benchmarks: end -->\n"
    with pytest.raises(ValueError, match=message):
        requoted(text, tmp_path)
