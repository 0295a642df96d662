import numpy as np
import pandas as pd
import pytest

from analysis.attempts import Newest, last_attempts

BY = ("trial", "seed", "rung")


def keys(rows):
    return dict(zip((*BY, "attempt"), np.array(rows, dtype=int).reshape(-1, 4).T, strict=True))


def chosen(rows, newest=None):
    return last_attempts(keys(rows), BY, newest).tolist()


def test_rows_are_sorted_by_the_keys_in_their_order():
    assert chosen([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 1, 0]]) == [3, 2, 1, 0]


def test_of_rows_with_the_same_keys_the_last_attempt_counts_and_of_equals_the_last_read():
    assert chosen([[0, 0, 0, 2], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0]]) == [0, 3]


def test_no_rows_and_one_row_are_fine():
    assert chosen([]) == []
    assert chosen([[4, 4, 4, 4]]) == [0]


def test_rows_of_an_older_attempt_than_the_newest_known_are_left_out():
    rows = [[0, 0, 0, 0], [0, 0, 1, 1], [7, 0, 0, 0], [8, 0, 0, 2]]
    assert chosen(rows, Newest(keys(rows))) == [1, 2, 3]
    elsewhere = {"trial": np.array([7, 9]), "attempt": np.array([1, 5])}
    assert chosen(rows, Newest(keys(rows), elsewhere)) == [1, 3]
    assert chosen([], Newest(elsewhere)) == []


def test_the_newest_attempt_is_that_of_a_definition_by_hand():
    rng = np.random.default_rng(0)
    trial, attempt = rng.integers(0, 50, 400), rng.integers(0, 3, 400) * rng.integers(0, 2, 400)
    frame = pd.DataFrame({"trial": trial, "attempt": attempt})
    expected = frame["attempt"] == frame.groupby("trial")["attempt"].transform("max")
    known = Newest(frame[:100], {"trial": trial[100:], "attempt": attempt[100:]})
    assert (known.includes(trial, attempt) == expected).all()
    assert 0 < expected.sum() < len(frame)


@pytest.mark.parametrize("attempts", [[0, 0], [0, 1]])
def test_a_trial_that_no_table_knows_is_at_its_first_attempt(attempts):
    known = Newest({"trial": np.array([1, 2]), "attempt": np.array(attempts)})
    assert known.includes(np.array([5]), np.array([0])).all()
