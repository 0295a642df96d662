import pytest

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
    measured = {t.title.split(",")[0]: t.measure(results) for t in TARGETS[:1]}
    assert measured == {"digits": 5}
    speed, time, outside = (t.measure(results) for t in TARGETS[3:6])
    assert speed == pytest.approx((10 + 1290 / 65) / 2)
    assert time == 3
    assert outside == pytest.approx(0.2)
    assert TARGETS[1].measure(results) is None
