import pytest

from benchmarks.serving import _growth, _latency


def test_a_latency_is_told_in_milliseconds_of_the_ordered_waits():
    told = _latency([0.1 * n for n in range(100, -1, -1)])
    assert told["count"] == 101
    assert told["median_ms"] == pytest.approx(5000)
    assert told["p95_ms"] == pytest.approx(9500)
    assert told["max_ms"] == pytest.approx(10_000)


def test_memory_that_is_taken_at_first_is_no_growth_and_later_is():
    flat = [(float(t), 100.0 if t < 20 else 150.0) for t in range(90)]
    assert _growth(flat)["grown_mib"] == 0
    rising = [(float(t), 100.0 + t) for t in range(90)]
    assert _growth(rising)["grown_mib"] == pytest.approx(40, abs=2)
