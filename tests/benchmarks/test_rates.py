import pytest

from benchmarks.cases import CASES
from benchmarks.effort import QUICK
from benchmarks.rates import measure_rates, orders, predicted_mib
from benchmarks.trainer import Order, make


def test_memory_is_foretold_on_a_line_through_what_was_measured():
    assert predicted_mib({1: 510.0, 4: 540.0}, 256) == pytest.approx(540 + 252 * 10)
    assert predicted_mib({1: 510.0}, 256) == 0


def test_contenders_take_turns_beside_the_product_that_they_are_measured_by():
    found = orders(CASES["digits"], ["solo", "gansweep"], QUICK, device="cpu", root=None)
    assert [(o.contender, o.members) for o in found] == [
        ("matmul", 1), ("solo", 1), ("gansweep", 1), ("gansweep", 4),
    ]  # fmt: skip


@pytest.mark.parametrize("contender", ["matmul", "solo", "tutorial", "gansweep"])
def test_every_contender_trains_on_command(contender):
    make(Order(contender=contender, case="ring8", members=2))(2)


def test_one_that_does_not_is_refused():
    with pytest.raises(ValueError, match="stock: does not train on command"):
        make(Order(contender="stock", case="ring8"))


@pytest.mark.slow  # a process with torch for each of three
def test_turns_of_processes_of_their_own_come_to_rates_and_one_that_fails_to_a_reason():
    asked = orders(CASES["ring8"], ["solo"], QUICK, device="cpu", root=None)
    asked.append(Order(contender="absent", case="ring8"))
    found = list(measure_rates(CASES["ring8"], asked, QUICK))
    reasons = {key.contender: values for key, values in found if isinstance(values, str)}
    assert list(reasons) == ["absent"]
    assert "does not train on command" in reasons["absent"]
    turns = [values for key, values in found if key.contender == "solo"]
    assert len(turns) == QUICK.turns
    assert all(turn["per_s"] > 0 and turn["peak_mib"] > 50 for turn in turns)
    assert all(
        turn["per_s"] == pytest.approx(turn["steps"] / turn["cpu_s"], rel=0.1) for turn in turns
    )
