import dataclasses
import json

import pytest

from benchmarks.cases import CASES
from benchmarks.effort import FULL, QUICK
from benchmarks.rates import key_of, measure_rates, orders, predicted_mib
from benchmarks.trainer import Order, make


def test_memory_is_foretold_on_a_line_through_what_was_measured():
    assert predicted_mib({1: 510.0, 4: 540.0}, 256) == pytest.approx(540 + 252 * 10)
    assert predicted_mib({1: 510.0}, 256) == 0


def test_contenders_take_turns_beside_the_product_that_they_are_measured_by():
    found = orders(CASES["digits"], ["solo", "gansweep"], QUICK, device="cpu", root=None)
    assert [(o.contender, o.members) for o in found] == [
        ("matmul", 1), ("solo", 1), ("gansweep", 1), ("gansweep", 4),
    ]  # fmt: skip


def test_a_cohort_in_bfloat16_follows_the_one_of_as_many_members_and_is_told_apart():
    found = orders(CASES["mnist"], ["gansweep"], FULL, device="cpu", root=None, bfloat16=True)
    names = [key_of(order).variant for order in found[1:]]
    assert names == ["K=1", "K=4", "K=16", "K=16 bfloat16", "K=32", "K=64", "K=256"]
    dcgan = orders(CASES["dcgan"], ["gansweep"], FULL, device="cpu", root=None, bfloat16=True)
    assert [key_of(order).variant for order in dcgan[1:]] == ["K=1", "K=4"]


def test_an_order_survives_the_way_to_its_process():
    for order in orders(
        CASES["ring8"], ["gansweep"], QUICK, device="cpu", root=None, bfloat16=True
    ):
        assert Order(**json.loads(json.dumps(dataclasses.asdict(order)))) == order


def test_a_cohort_in_bfloat16_trains_on_command():
    make(Order(contender="gansweep", case="ring8", members=2, precision="bfloat16"))(2)


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
