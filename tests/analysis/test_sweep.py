import dataclasses

import pandas as pd
import pytest

from analysis.compare import leaderboard
from analysis.load import load
from analysis.report import write_report
from analysis.schema import HISTORY
from analysis.scores import member_scores
from analysis.sweep import Sweep, side_by_side
from analysis.variants import progress
from analysis.verdict import judge

TABLES = ("trials", "history", "control", "samples")


@pytest.fixture
def two(writer, tmp_path):
    """Two sweeps whose trial 0 is another one, as paths."""
    other = type(writer)(tmp_path / "runs" / "other")
    other.config('name = "other"\n')
    for made, spread in ((writer, 0.5), (other, 0.25)):
        members = [writer.member(t, rungs=2, spread=lambda r, s=spread: s) for t in range(2)]
        made.members(*members)
        made.control()
        made.samples(*members)
    return [writer.path, other.path]


def test_several_sweeps_are_one_frame_in_which_the_sweep_tells_them_apart(two):
    sweeps = load(two)
    assert sweeps.trials[["sweep", "trial"]].to_numpy().tolist() == [
        ["digits", 0],
        ["digits", 1],
        ["other", 0],
        ["other", 1],
    ]
    spread = sweeps.history.query("rung > 0").groupby(["sweep", "trial"])["feature_spread"]
    assert spread.agg(["min", "max"]).to_numpy().tolist() == [[0.5] * 2] * 2 + [[0.25] * 2] * 2
    for name, rows in zip(TABLES, (4, 12, 4, 4), strict=True):
        frame = getattr(sweeps, name)
        assert frame.index.tolist() == list(range(rows))
        assert frame["sweep"].unique().tolist() == ["digits", "other"]
        dtypes = getattr(load(two[0]), name).dtypes
        pd.testing.assert_series_equal(frame.dtypes, dtypes)
    assert sweeps.path == f"{two[0]}, {two[1]}"


def test_each_of_several_sweeps_is_what_it_is_alone(two):
    sweeps = load(two)
    assert len(sweeps) == 2
    for sweep, path in zip(sweeps, two, strict=True):
        alone = load(path)
        for name in TABLES:
            expected = getattr(alone, name).assign(sweep=alone.name)
            pd.testing.assert_frame_equal(getattr(sweep, name), expected)


def test_sweeps_of_the_same_name_are_told_apart_by_path(two):
    (two[1] / "sweep.toml").write_text('name = "digits"\n')
    sweeps = load(two)
    for name in TABLES:
        assert getattr(sweeps, name)["sweep"].unique().tolist() == [str(path) for path in two]
    assert [sweep.name for sweep in sweeps] == [str(path) for path in two]


def test_a_sweep_that_is_named_twice_and_no_sweep_at_all_are_refused(two):
    with pytest.raises(ValueError, match=r"runs/digits: is named twice$"):
        load([two[0], two[1], f"{two[0]}/"])
    with pytest.raises(ValueError, match=r"^no sweeps: name at least one$"):
        load([])


def test_several_sweeps_have_no_config_so_nothing_ranks_them_as_one(two):
    sweeps = load(two)
    right = r"^2 sweeps have no one config, and trial numbers of their own: go through them one"
    with pytest.raises(ValueError, match=right):
        leaderboard(sweeps)
    assert [leaderboard(sweep)["trial"].tolist() for sweep in sweeps] == [[0, 1], [0, 1]]


def test_the_name_is_the_config_s_or_the_rows_or_the_folder_s(writer):
    assert writer.load().name == "digits"
    (writer.path / "sweep.toml").unlink()
    writer.members(writer.member(0), ended=False)
    assert writer.load().name == "s"
    empty = writer.load()
    nothing = dataclasses.replace(empty, history=empty.history[:0])
    assert nothing.name == "digits"


def test_a_sweep_without_a_location_finds_its_samples_by_its_path(writer):
    writer.samples(writer.member(0))
    sweep = writer.load()
    again = Sweep(sweep.path, sweep.config, sweep.trials, sweep.history, sweep.control)
    pd.testing.assert_frame_equal(again.samples, sweep.samples)
    assert len(side_by_side([again]).samples) == 1


@pytest.mark.parametrize("asks", [judge, leaderboard, write_report])
def test_what_judges_refuses_a_sweep_loaded_in_part(two, asks):
    right = r"digits: was loaded with columns=, without \w+ and \d+ more, which judge needs: load"
    with pytest.raises(ValueError, match=right) as error:
        asks(load(two[0], columns=["frechet_distance"]))
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=right):
        asks(next(iter(load(two, columns=["frechet_distance"]))))


def test_progress_and_scores_need_only_the_objective_and_its_cost(two):
    whole, part = load(two[0]), load(two[0], columns=["frechet_distance", "seconds"])
    pd.testing.assert_frame_equal(progress(part), progress(whole))
    pd.testing.assert_series_equal(member_scores(part), member_scores(whole))
    with pytest.raises(ValueError, match=r"columns=, without seconds, which progress needs: load"):
        progress(load(two[0], columns=["frechet_distance"]))
    with pytest.raises(ValueError, match=r"columns=, without frechet_distance, which the score of"):
        member_scores(load(two, columns=["seconds"]), "frechet_distance")


def test_all_columns_by_name_are_as_good_as_all(two):
    named = load(two[0], columns=HISTORY.names)
    pd.testing.assert_frame_equal(judge(named), judge(load(two[0])))
