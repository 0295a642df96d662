import pytest

from benchmarks.serving import _growth


def test_memory_that_is_taken_at_first_is_no_growth_and_later_is():
    flat = [(float(t), 100.0 if t < 20 else 150.0) for t in range(90)]
    assert _growth(flat)["grown_mib"] == 0
    rising = [(float(t), 100.0 + t) for t in range(90)]
    assert _growth(rising)["grown_mib"] == pytest.approx(40, abs=2)
