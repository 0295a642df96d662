import pytest
import ray
from ray._private import auto_init_hook

from sweeps.fleet import _Fit, restarts
from sweeps.ledger import MOST_BREAKS


@pytest.mark.parametrize(("trials", "halvings"), [(1, 0), (2, 1), (8, 3), (9, 4)])
def test_a_worker_outlives_two_trials_in_a_row_that_break_it_as_often_as_they_may(trials, halvings):
    # A trial is given up when a worker asks after that many breaks.
    assert restarts(trials) >= halvings + 2 * MOST_BREAKS + 1


class Late:
    """A loop that calls Ray when it has ended."""

    def fit(self):
        ray.put(1)


def test_a_loop_that_outlives_ray_begins_no_other():
    fit = _Fit(Late())
    fit.start()
    fit.join(400)
    assert not ray.is_initialized()
    assert len(fit.errors) == 1
    assert auto_init_hook.enable_auto_connect
