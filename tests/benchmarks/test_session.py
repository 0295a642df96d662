import json
import math

import pytest

from benchmarks.session import Session, latency


def test_a_latency_is_told_in_milliseconds_of_the_ordered_waits():
    told = latency([0.1 * n for n in range(100, -1, -1)])
    assert told["count"] == 101
    assert told["median_ms"] == pytest.approx(5000)
    assert told["p95_ms"] == pytest.approx(9500)
    assert told["max_ms"] == pytest.approx(10_000)
    none = latency([])
    assert none["count"] == 0
    assert math.isnan(none["p95_ms"])


def test_figures_are_printed_and_written_with_what_they_were_measured_on(tmp_path, capsys):
    session = Session()
    session.tell(tmp_path / "new" / "some.json", speed={"ratio": 2})
    text = (tmp_path / "new" / "some.json").read_text()
    assert capsys.readouterr().out == text
    told = json.loads(text)
    assert told["speed"] == {"ratio": 2}
    assert {"processor", "versions", "commit"} <= set(told["session"])
    assert len(told["session"]["load_before"]) == len(told["session"]["load_after"]) == 3
    session.tell(None, speed={})
    assert json.loads(capsys.readouterr().out)["speed"] == {}
