import base64
import dataclasses
import json

import pytest

from analysis.report import records
from analysis.report.exemplars import exemplars
from analysis.report.records import history_record, left_out, samples_record, trials_record


def test_every_member_s_rungs_are_found_again(tables):
    store = history_record(tables)
    history = tables.sweep.history.set_index(["trial", "seed"])
    for trial, seed, start, size in store["members"]:
        rows = history.loc[[(trial, seed)]]
        assert store["columns"]["step"][start : start + size] == rows["step"].tolist()
        found = store["columns"]["frechet_distance"][start : start + size]
        assert found == pytest.approx(rows["frechet_distance"].tolist(), rel=1e-3)
        assert sum(store["histogram"][start]) == 1000
    assert store["stride"] == 1
    assert len(store["real"]) == len(store["modes"]) == 10


def test_a_long_history_is_thinned_evenly_and_this_is_said(tables, monkeypatch):
    monkeypatch.setattr(records, "HISTORY_ROWS", 200)
    store = history_record(tables)
    assert store["stride"] == 3
    assert len(store["columns"]["step"]) <= 200
    assert set(store["columns"]["step"][:3]) == {0, 300, 600}
    samples = samples_record(tables, [])
    assert left_out(samples, store) == ["Of the history every 3th rung is in this file."]


def test_samples_are_left_out_from_the_worst_on_when_there_is_no_room(tables):
    shown = exemplars(tables)
    whole = samples_record(tables, shown)
    assert whole.left_out == 0
    size = len(next(iter(next(iter(whole.by_trial.values())).values())))
    some = samples_record(tables, shown, most_bytes=size * 9)
    assert {e.trial for e in shown} <= set(some.by_trial)
    assert sum(len(uri) for uris in some.by_trial.values() for uri in uris.values()) <= size * 9
    assert some.left_out == len(whole.by_trial) - len(some.by_trial) > 0
    (line,) = left_out(some, history_record(tables))
    assert line.startswith(f"Samples of {some.left_out} trials")


def test_a_uri_holds_the_png_as_it_was_written(tables):
    kept = samples_record(tables, [])
    for row in tables.sweep.samples.itertuples():
        text = kept.by_trial[row.trial][row.seed].removeprefix("data:image/png;base64,")
        assert base64.b64decode(text) == row.png


def test_trials_come_with_their_rank_status_error_and_reasons(tables, hostile):
    board = trials_record(tables)
    rows = board["columns"]
    assert rows["rank"][:3] == [1, 2, 3]
    assert rows["trial"][0] == tables.best["trial"].iloc[0]
    at = {trial: i for i, trial in enumerate(rows["trial"])}
    assert rows["status"][at[11]] == "diverged"
    assert (rows["status"][at[12]], rows["error"][at[12]]) == ("failed", hostile)
    assert len(board["members"]["reason"]) == len(tables.verdicts)
    assert {"loss", "lr_g", "lr_d"} <= set(board["varied"])
    assert "latent_dim" in board["fixed"]
    json.dumps(board, allow_nan=False)


def test_what_members_came_to_in_the_end_stands_beside_what_real_data_score(tables):
    trials = tables.sweep.trials.assign(final_coverage_k5=0.5)
    sweep = dataclasses.replace(tables.sweep, trials=trials)
    board = trials_record(dataclasses.replace(tables, sweep=sweep))
    (final,) = [f for f in board["finals"] if f["key"] == "final_coverage_k5"]
    assert final["name"] == "Coverage"
    assert set(board["members"]["final_coverage_k5"]) == {0.5}


def test_too_many_modes_are_left_out_and_this_is_said(tables, monkeypatch):
    monkeypatch.setattr(records, "_HISTOGRAM_CELLS", 10)
    store = history_record(tables)
    assert store["histogram"] == []
    assert left_out(samples_record(tables, []), store) == [
        "The shares of single modes had no room in this file."
    ]


def test_a_sweep_without_members_has_empty_records(tables):
    sweep = tables.sweep
    empty = dataclasses.replace(sweep, history=sweep.history[:0])
    store = history_record(dataclasses.replace(tables, sweep=empty))
    assert store["members"] == store["histogram"] == store["columns"]["step"] == []
