import contextlib

import pytest

from benchmarks.agenda import CONTENDERS, FIGURES, Request, agenda
from benchmarks.cases import CASES
from benchmarks.effort import FULL
from benchmarks.results import Record, Results
from benchmarks.targets import TARGETS, judge

SPEED, SHARE = TARGETS[0], next(t for t in TARGETS if t.is_share)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (None, "not measured"),
        (SPEED.aim, "met, and the aim"),
        (SPEED.must, "met; of the aim 67% of it"),
        (2, "not met: 50% of it"),
    ],
)
def test_a_number_of_times_is_judged_by_must_and_aim(measured, words):
    assert judge(SPEED, measured) == words


@pytest.mark.parametrize(
    ("measured", "words"),
    [(0.05, "met, and the aim"), (0.15, "met; of the aim 10.0 points too many"),
     (0.2, "not met: 5.0 points too many")],
)  # fmt: skip
def test_of_a_cost_less_is_better(measured, words):
    assert judge(SHARE, measured) == words


def test_every_target_asks_for_more_than_it_must():
    assert all((t.aim < t.must) if t.is_share else (t.aim > t.must) for t in TARGETS)


def test_targets_are_measured_from_the_results(results):
    exact, coarse, ring8, _, speed, at_once, rounded, many, as_many, outside = (
        t.measure(results) for t in TARGETS if t.device == "cpu"
    )
    assert (exact, coarse) == (5, 7)
    assert speed == pytest.approx((10 + 1290 / 65) / 2)
    assert at_once == pytest.approx(2 * speed)
    assert (many, as_many) == (5, 3)
    assert outside == pytest.approx(0.2)
    assert (ring8, rounded) == (None, None)


def test_other_means_than_solos_or_stocks_are_told_in_the_title():
    titles = [target.title for target in TARGETS]
    assert [title for title in titles if "bfloat16" in title] == [
        "digits, the same in bfloat16, `solo` in float32",
        "digits, the same, all in flight, bfloat16",
    ]
    (many,) = (title for title in titles if "512" in title)
    assert many.endswith("`gansweep` of 512 trials; time is the budget, not trials")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_target_is_of_something_that_is_measured(device):
    class Asked(Results):
        def of(self, key):
            self.keys_asked = {*getattr(self, "keys_asked", ()), key}
            return super().of(key)

    request = Request(
        cases=list(CASES), contenders=CONTENDERS, figures=list(FIGURES), effort=FULL,
        device=device, workers=2, root="data", bfloat16=device == "cpu",
    )  # fmt: skip
    planned = {key for item in agenda(request) for key in item.keys}
    asked = Asked([], [Record(key=key, session=0, turn=0) for key in planned])
    for target in TARGETS:
        if target.device == device:
            with contextlib.suppress(KeyError):  # records without values
                target.measure(asked)
    assert asked.keys_asked <= planned
