from sweeps import fleet, ledger


def test_a_lone_worker_outlives_a_trial_that_breaks_it_as_often_as_it_may():
    # The trial is given up when a worker asks after that many breaks.
    assert fleet._RESTARTS > ledger.MOST_BREAKS
