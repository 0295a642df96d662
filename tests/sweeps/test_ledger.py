from sweeps.ledger import MOST_BREAKS, Ledger, Ticket


def ledger_with(*trials, run="run", worker="a"):
    ledger = Ledger("run", 100.0, lambda: 0.0)
    for trial in trials:
        ledger.add(Ticket(trial=trial, hyperparameters={}, seeds=(trial,), run=run, worker=worker))
    return ledger


def test_a_trial_is_held_only_by_whom_this_run_gave_it():
    ledger = ledger_with(0)
    assert ledger.held("a", 0) is not None
    assert ledger.held("b", 0) is None
    assert ledger.held("a", 1) is None
    assert ledger_with(0, run="earlier").held("a", 0) is None


def test_what_a_worker_claims_is_not_free_and_what_it_does_not_is():
    ledger = ledger_with(0, 1, 2)
    assert ledger.claim("a", (1, 7)) == [7]
    assert [ticket.trial for ticket in ledger.free("b")] == [0, 2]
    ledger.claim("a", (0, 1, 2))  # the reply arrived after all
    assert ledger.free("b") == []


def test_a_worker_gets_its_own_first():
    ledger = ledger_with(0, 1)
    ledger.add(Ticket(trial=2, hyperparameters={}, seeds=(2,), run="run", worker="b"))
    ledger.claim("a", ())
    ledger.claim("b", ())
    assert [ticket.trial for ticket in ledger.free("b")] == [2, 0, 1]


def test_attempts_count_over_runs_and_breaks_within_one():
    ledger = ledger_with()
    ticket = Ticket(trial=0, hyperparameters={}, seeds=(0,))
    ledger.add(ticket)
    for attempt in range(MOST_BREAKS):
        assert not ledger.broken(ticket)
        ledger.give(ticket, "a")
        assert (ticket.attempt, ticket.breaks) == (attempt, attempt)
    assert ledger.broken(ticket)
    resumed = Ledger("resumed", 100.0, lambda: 0.0)
    resumed.add(ticket)
    assert not resumed.broken(ticket)
    resumed.give(ticket, "a")
    assert (ticket.attempt, ticket.breaks) == (MOST_BREAKS, 0)


def test_beginning_anew_withdraws_the_decision_to_end():
    ticket = Ticket(trial=0, hyperparameters={}, seeds=(0,), condemned=True, claimed=False)
    ledger_with().give(ticket, "a")
    assert ticket.claimed
    assert not ticket.condemned


def test_a_removed_trial_is_nobodys():
    ledger = ledger_with(0, 1)
    ledger.remove(0)
    assert len(ledger) == 1
    assert ledger.held("a", 0) is None


def test_what_is_given_back_is_free_and_no_break_of_it():
    ledger = ledger_with(0, 1)
    ledger.add(Ticket(trial=2, hyperparameters={}, seeds=(2,), run="run", worker="b"))
    for _ in range(2 * MOST_BREAKS):
        released = ledger.release("a")
        assert [ticket.trial for ticket in released] == [0, 1]
        assert ledger.release("a") == []
        assert ledger.held("a", 0) is None
        assert [ticket.trial for ticket in ledger.free("b")] == [0, 1]
        for ticket in released:
            assert not ledger.broken(ticket)
            ledger.give(ticket, "a")
            assert ticket.breaks == 0


def test_giving_back_does_not_undo_the_breaks_before():
    ledger = ledger_with()
    ticket = Ticket(trial=0, hyperparameters={}, seeds=(0,), run="run", worker="a", breaks=2)
    ledger.add(ticket)
    ledger.release("a")
    ledger.give(ticket, "b")
    assert ticket.breaks == 2
    assert ledger.broken(ticket)


def test_the_lives_of_a_worker_count_until_a_trial_of_it_gets_further():
    ledger = ledger_with()
    assert [ledger.begin("a") for _ in range(3)] == [0, 1, 2]
    assert ledger.begin("b") == 0
    assert ledger.got_on("a")
    assert not ledger.got_on("a")
    # This life got on, so its end is no death in a row; the next one's may be.
    assert [ledger.begin("a") for _ in range(2)] == [0, 1]
    after = ledger_with()
    after.recall_lives(ledger.lives)
    assert after.begin("a") == 2


def given(*trials, got_on=()):
    """What the worker "a" trains when it dies."""
    ledger = ledger_with()
    for trial in trials:
        ledger.add(Ticket(trial=trial, hyperparameters={}, seeds=(trial,), run="run", worker="a"))
    for ticket in ledger.free("a") or [ledger.held("a", trial) for trial in trials]:
        ticket.got_on = ticket.trial in got_on
    return ledger


def breaks_after_a_death(ledger, *trials):
    """The worker begins again, holds nothing, and is given all of them once more."""
    ledger.begin("a")
    ledger.claim("a", ())
    for ticket in ledger.free("a"):
        ledger.give(ticket, "a")
    return [ledger.held("a", trial).breaks for trial in trials]


def test_a_worker_that_dies_with_one_trial_blames_it():
    ledger = given(0)
    assert [breaks_after_a_death(ledger, 0) for _ in range(3)] == [[1], [2], [3]]


def test_of_several_none_of_which_got_on_none_is_to_blame():
    ledger = given(0, 1)
    assert [breaks_after_a_death(ledger, 0, 1) for _ in range(3)] == [[0, 0]] * 3


def test_those_are_to_blame_that_did_not_get_on_while_others_did():
    assert breaks_after_a_death(given(0, 1, 2, got_on=(1,)), 0, 1, 2) == [1, 0, 1]
    assert breaks_after_a_death(given(0, 1, got_on=(0, 1)), 0, 1) == [0, 0]


def test_what_waits_is_not_blamed_for_what_is_trained():
    ledger = given(0, 1)
    ledger.begin("a")
    ledger.claim("a", ())
    ledger.give(ledger.held("a", 0), "a")  # the other waits for room
    ledger.begin("a")
    ledger.claim("a", ())
    for ticket in ledger.free("a"):
        ledger.give(ticket, "a")
    assert [ledger.held("a", trial).breaks for trial in (0, 1)] == [1, 0]
