import pytest

from .schedule import FIRST, LAST, Victim, drawn


@pytest.mark.parametrize("seed", range(10))
def test_each_kind_is_killed_at_least_once_at_moments_in_order(seed):
    events = drawn(seed)
    assert len(events) == 6
    assert {event.victim for event in events} == set(Victim)
    shares = [event.share for event in events]
    assert shares == sorted(shares)
    assert shares[0] >= FIRST
    assert shares[-1] <= LAST


def test_a_seed_draws_the_same_again_and_another_seed_another():
    assert drawn(3) == drawn(3)
    assert len({drawn(seed) for seed in range(10)}) == 10
