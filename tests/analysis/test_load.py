import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from analysis.compare import FAILURES
from analysis.load import load
from analysis.schema import CONTROL, END_METRICS, HISTORY, SAMPLES, SPECTRAL_NORMS, TRIALS
from analysis.verdict import judge

VERSION_1 = Path(__file__).parent / "version_1"

FRAMES = {"trials": TRIALS, "history": HISTORY, "control": CONTROL, "samples": SAMPLES}


def test_a_sweep_is_read_sorted_whatever_the_order_of_its_parts(writer):
    writer.members(writer.member(1, seed=5), writer.member(0, seed=9))
    writer.members(writer.member(1, seed=3))
    writer.control()
    writer.samples(writer.member(1, seed=5), writer.member(0, seed=9))
    sweep = writer.load()
    expected = [(0, 9), (1, 3), (1, 5)]
    assert list(zip(sweep.trials["trial"], sweep.trials["seed"], strict=True)) == expected
    rungs = list(sweep.history[["trial", "seed", "rung"]].itertuples(index=False, name=None))
    assert rungs == [(*member, rung) for member in expected for rung in range(21)]
    assert sweep.control["kind"].tolist() == ["real", "untrained"]
    assert sweep.samples["trial"].tolist() == [0, 1]
    assert sweep.config["train"]["steps"] == 2000
    assert sweep.path == str(writer.path)


@pytest.mark.parametrize("folders", [(), ("trials", "history", "samples", "control")])
def test_folders_that_are_absent_or_empty_give_frames_with_the_right_columns(writer, folders):
    for folder in folders:
        (writer.path / folder).mkdir()
    empty = writer.load()
    assert empty.samples.empty  # read now, not after the parts below
    member = writer.member()
    writer.members(member)
    writer.samples(member)
    writer.control()
    full = writer.load()
    for name, schema in FRAMES.items():
        frame = getattr(empty, name)
        assert frame.empty
        assert list(frame.columns) == schema.names
        pd.testing.assert_series_equal(frame.dtypes, getattr(full, name).dtypes)


def test_of_a_trial_begun_again_only_the_last_attempt_is_kept(writer):
    writer.members(writer.member(0, attempt=1, rungs=3, frechet=lambda r: 11.0))
    # The dead attempt had come further; its part is read last.
    writer.members(writer.member(0, attempt=0, rungs=8, frechet=lambda r: 22.0))
    writer.members(writer.member(1, attempt=0, rungs=8))
    sweep = writer.load()
    assert sweep.trials["attempt"].tolist() == [1, 0]
    first = sweep.history[sweep.history["trial"] == 0]
    assert first["rung"].tolist() == [0, 1, 2, 3]
    assert first["attempt"].eq(1).all()
    assert first["frechet_distance"].tolist()[1:] == [11.0] * 3
    assert (sweep.history["trial"] == 1).sum() == 9


def test_a_restart_of_one_seed_ends_the_older_attempt_of_every_seed(writer):
    writer.members(writer.member(0, seed=0), writer.member(0, seed=1), ended=False)
    writer.members(writer.member(0, seed=0, attempt=1, rungs=2), ended=False)
    history = writer.load().history
    assert history[["seed", "rung"]].to_numpy().tolist() == [[0, 0], [0, 1], [0, 2]]


def test_rows_that_failed_in_a_newer_attempt_end_the_history_of_the_older(writer):
    writer.members(writer.member(0), ended=False)
    failed = writer.member(0, attempt=3, status="failed", rungs=0)
    writer.part("trials", [failed.ended()], TRIALS)
    sweep = writer.load()
    assert sweep.trials["status"].tolist() == ["failed"]
    assert sweep.history.empty


def test_rows_that_are_there_twice_count_once(writer):
    member = writer.member(0)
    writer.members(member)
    once = writer.load()
    writer.members(member)
    twice = writer.load()
    pd.testing.assert_frame_equal(once.trials, twice.trials)
    pd.testing.assert_frame_equal(once.history, twice.history)


def test_samples_of_an_older_attempt_are_dropped(writer):
    writer.samples(writer.member(0), writer.member(0, attempt=1), writer.member(1))
    writer.members(writer.member(1, attempt=2), ended=False)
    samples = writer.load().samples
    assert samples[["trial", "attempt"]].to_numpy().tolist() == [[0, 1]]
    assert samples["png"].tolist() == [b"\x01"]


def test_a_part_that_appears_is_seen_by_the_next_load_and_not_by_the_last(writer):
    writer.members(writer.member(0))
    before = writer.load()
    hidden = writer.part("trials", [writer.member(1).ended()], TRIALS, ".new.parquet")
    assert writer.load().trials["trial"].tolist() == [0]
    hidden.rename(hidden.with_name("new.parquet"))
    assert writer.load().trials["trial"].tolist() == [0, 1]
    assert before.trials["trial"].tolist() == [0]


def test_samples_are_read_when_first_asked_for_and_kept(writer):
    sweep = writer.load()
    writer.samples(writer.member(0))
    assert sweep.samples["trial"].tolist() == [0]
    writer.samples(writer.member(1))
    assert sweep.samples["trial"].tolist() == [0]


def test_a_uri_and_a_home_path_read_the_same_as_the_path(writer, monkeypatch):
    writer.members(writer.member(0))
    monkeypatch.setenv("HOME", str(writer.path.parent))
    for path in (writer.path.as_uri(), f"{writer.path}/", "~/digits"):
        pd.testing.assert_frame_equal(load(path).trials, writer.load().trials)


KEYS = ["sweep", "trial", "seed", "attempt", "rung", "step"]


def test_of_history_only_the_columns_asked_for_are_read_and_its_keys(writer):
    member = writer.member(0)
    writer.members(member, writer.member(0, attempt=1, rungs=3))
    whole = writer.load()
    for columns in ([], ["frechet_distance"], ["mode_histogram", "rung", "d_loss_mean"]):
        sweep = load(writer.path, columns=columns)
        names = [name for name in HISTORY.names if name in (*KEYS, *columns)]
        pd.testing.assert_frame_equal(sweep.history, whole.history[names])
        pd.testing.assert_frame_equal(sweep.trials, whole.trials)
        assert sweep.lacking == {}


def test_columns_that_history_has_not_are_refused_with_those_like_them(writer):
    with pytest.raises(ValueError, match=r'^columns: history has no "frechet"; it has .*frechet_'):
        load(writer.path, columns=["frechet"])
    with pytest.raises(ValueError, match=r'^columns: history has no "x"; it has sweep, trial, .+'):
        load(writer.path, columns=["x"])
    with pytest.raises(ValueError, match=r'^columns = "step": must be several, .+ \["step"\]$'):
        load(writer.path, columns="step")


def test_a_sweep_of_schema_version_1_loads_with_what_it_lacks_named_and_null():
    sweep = load(VERSION_1)
    for name, schema in FRAMES.items():
        frame = getattr(sweep, name)
        assert list(frame.columns) == schema.names
        if name != "samples":
            assert frame[list(sweep.lacking[name])].isna().all(axis=None)
    assert {*SPECTRAL_NORMS, "within_class_spread"} <= set(sweep.lacking["history"])
    assert {*END_METRICS, "within_class_spread"} <= set(sweep.lacking["control"])
    final = {f"final_{name}" for name in (*END_METRICS, "within_class_spread")}
    assert final <= set(sweep.lacking["trials"])
    assert len(sweep.trials) == 3
    assert sweep.history.groupby("trial").size().tolist() == [11] * 3
    known = sweep.history.columns.difference(sweep.lacking["history"])
    assert {"frechet_distance", "d_loss_mean", "mode_histogram"} <= set(known)
    assert sweep.history["frechet_distance"].notna().all()


def test_a_sweep_of_schema_version_1_is_judged():
    verdicts = judge(load(VERSION_1))
    assert set(verdicts["verdict"]) <= FAILURES
    assert verdicts["verdict"][2] == "mode_collapse"


def test_a_sweep_that_goes_on_in_a_newer_version_lacks_columns_in_its_older_rows(writer):
    older = HISTORY
    for name in SPECTRAL_NORMS:
        older = older.remove(older.get_field_index(name))
    spectral = dict.fromkeys(SPECTRAL_NORMS, 2.0)
    rows = [writer.member(t, rungs=1).history()[1] for t in range(2)]
    writer.part("history", [rows[0]], older)
    writer.part("history", [rows[1] | spectral], HISTORY)
    sweep = writer.load()
    assert sweep.lacking == {"history": SPECTRAL_NORMS}
    assert sweep.history["spectral_norm_g"].isna().tolist() == [True, False]
    assert load(writer.path, columns=["d_loss_mean"]).lacking == {}


def test_a_sweep_cannot_be_changed(writer):
    with pytest.raises(dataclasses.FrozenInstanceError):
        writer.load().trials = None


CONTAINS = r"a sweep's directory contains sweep\.toml and trials/, history/, control/, samples/"


def test_a_missing_path_is_named_with_what_a_sweep_contains(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"nowhere: no such directory; {CONTAINS}$"):
        load(tmp_path / "nowhere")


def test_a_file_is_refused(writer):
    with pytest.raises(FileNotFoundError, match=rf"sweep\.toml: is a file; {CONTAINS}$"):
        load(writer.path / "sweep.toml")


def test_the_folder_of_all_sweeps_is_refused_with_the_sweeps_in_it(writer):
    with pytest.raises(FileNotFoundError, match=r"runs: is no sweep; .+; sweeps in it: digits$"):
        load(writer.path.parent)


def test_a_folder_without_anything_of_a_sweep_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"is no sweep; {CONTAINS}$"):
        load(tmp_path)


def test_a_config_that_is_not_toml_is_refused_by_its_name(writer):
    writer.config("name = ")
    with pytest.raises(ValueError, match=r"digits/sweep\.toml: Invalid value"):
        writer.load()


def test_an_unknown_scheme_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^nope://bucket/s: Unrecognized filesystem type"):
        load("nope://bucket/s")


def test_a_sweep_without_a_config_has_an_empty_one(writer):
    writer.members(writer.member(0))
    (writer.path / "sweep.toml").unlink()
    assert writer.load().config == {}
