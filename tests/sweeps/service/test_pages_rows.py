import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.load import load
from analysis.report.tables import gather
from sweeps.service.pages_rows import Board, ended_badly, in_training, latest_samples


@pytest.fixture(scope="module")
def tables(small_sweep):
    return gather(load(small_sweep))


@pytest.fixture(scope="module")
def board(tables):
    return Board(tables)


def test_the_best_is_first_and_what_has_no_sound_end_has_no_rank(board):
    ranks = [row["rank"] for row in board.rows]
    assert ranks == [1, 2, 3, 4, None, None]
    assert board.rows[0]["trial"] == 1
    assert {row["status"] for row in board.rows[4:]} == {"pruned"}


def test_a_trial_shows_all_its_seeds_with_their_verdicts(board):
    seeds = [(m["seed"], m["verdict"]) for m in board.rows[0]["members"]]
    assert [seed for seed, _ in seeds] == [2, 3]
    assert dict(seeds)[2] == "diverged"


def test_what_was_searched_stands_in_the_row_and_the_rest_beside_it(board):
    row = board.rows[0]
    assert len(row["varied"]) == len(board.varied) > 0
    assert [name for name, _ in row["settings"]] == board.varied
    assert not {name for name, _ in row["fixed"]} & set(board.varied)


def test_a_trial_that_ended_early_says_at_which_step_and_why(board, tables):
    rows = ended_badly(board, tables)
    assert [row["trial"] for row in rows] == [5, 4]
    assert all(row["why"] and row["steps"].isdecimal() for row in rows)


def test_what_was_pruned_is_told_so_unless_something_was_wrong_with_it(board, tables):
    (row, *_) = [row for row in board.rows if row["status"] == "pruned"]
    for verdict, why in (("undetermined", "not among the best"), ("mode_collapse", "few modes")):
        member = row["members"][0] | {"verdict": verdict, "reason": "It has few modes."}
        lone = SimpleNamespace(rows=[row | {"members": [member]}])
        assert why in ended_badly(lone, tables)[0]["why"]


def test_members_are_in_training_until_they_have_a_row_of_their_own(tables):
    assert in_training(tables).empty
    history = tables.sweep.history
    begun = history[history["trial"] == 0].assign(trial=9)
    sweep = dataclasses.replace(tables.sweep, history=pd.concat([history, begun]))
    assert set(in_training(dataclasses.replace(tables, sweep=sweep))["trial"]) == {9}


def test_of_samples_the_last_step_counts_and_trials_in_training_come_first(board, tables):
    samples = tables.sweep.samples
    running = pd.DataFrame({"trial": [4], "seed": [8]})
    shown = latest_samples(samples, board, running, 3)
    assert [s["trial"] for s in shown] == [4, 1, board.rows[1]["trial"]]
    assert shown[0]["in_training"]
    last = samples[(samples["trial"] == 1) & (samples["seed"] == shown[1]["seed"])]["step"].max()
    assert shown[1]["step"] == last
    assert latest_samples(samples[:0], board, running, 3) == []
    assert np.isin([s["seed"] for s in shown], samples["seed"]).all()
