import pytest

from sweeps.fleet import restarts
from sweeps.ledger import MOST_BREAKS


@pytest.mark.parametrize(("trials", "halvings"), [(1, 0), (2, 1), (8, 3), (9, 4)])
def test_a_worker_outlives_two_trials_in_a_row_that_break_it_as_often_as_they_may(trials, halvings):
    # A trial is given up when a worker asks after that many breaks.
    assert restarts(trials) >= halvings + 2 * MOST_BREAKS + 1
