import dataclasses
import itertools
import pickle

import pytest

import analysis
from analysis.schema import HISTORY
from sweeps.service.states import Counts
from sweeps.service.summary import DamagedSweep, Progress, Summariser, read_facts
from sweeps.store import Store, TableName


def of(directory, *, is_running=False):
    return Summariser(directory).progress(read_facts(directory), is_running=is_running)


def rungs(trial, steps, attempt=0):
    known = {"sweep": "digits", "trial": trial, "seed": 7, "attempt": attempt}
    return [dict.fromkeys(HISTORY.names) | known | {"rung": s // 100, "step": s} for s in steps]


def test_the_facts_are_those_of_the_config(small_sweep):
    facts = read_facts(small_sweep)
    assert (facts.dataset, facts.architecture, facts.trials, facts.steps) == (
        "digits",
        "mlp",
        6,
        40,
    )
    assert facts.allowed_diverged_share == 0.5
    assert not facts.greater_is_better


def test_a_trial_may_have_as_many_diverged_seeds_as_are_allowed(small_sweep):
    found = of(small_sweep)
    assert found.counts == Counts(complete=4, pruned=2)
    strict = dataclasses.replace(read_facts(small_sweep), allowed_diverged_share=0.0)
    counts = Summariser(small_sweep).progress(strict, is_running=False).counts
    assert counts == Counts(complete=3, pruned=2, diverged=1)
    best = analysis.leaderboard(analysis.load(small_sweep), 1).iloc[0]
    assert (found.best_trial, found.best_value) == (best["trial"], best["trial_objective"])


def test_a_sweep_that_has_just_begun_is_at_nothing(tmp_path):
    (tmp_path / "sweep.toml").write_text("")
    assert of(tmp_path) == Progress()


def test_trials_in_training_count_by_the_last_step_of_their_last_attempt(begun_sweep):
    directory = begun_sweep("digits")
    store = Store(directory)
    store.write(TableName.HISTORY, rungs(1, [0, 100, 200]), "a")
    reader = Summariser(directory)
    found = reader.progress(read_facts(directory), is_running=True)
    assert (found.counts.complete, found.in_training, found.training_steps) == (1, 1, 200)
    store.write(TableName.HISTORY, rungs(1, [0, 100], attempt=1), "b")
    again = reader.progress(read_facts(directory), is_running=True)
    assert (again.in_training, again.training_steps) == (1, 100)
    # What has ended is in training no more, though its history is there.
    store.write(TableName.HISTORY, rungs(0, [0, 2000]), "c")
    assert reader.progress(read_facts(directory), is_running=True) == again


def test_of_a_running_sweep_only_new_parts_are_read(begun_sweep, monkeypatch):
    import pyarrow.parquet as pq

    directory = begun_sweep("digits")
    reader, store, read = Summariser(directory), Store(directory), []
    original = pq.ParquetFile
    monkeypatch.setattr(
        pq, "ParquetFile", lambda path, **more: read.append(path.name) or original(path, **more)
    )
    for part in ("a", "b"):
        store.write(TableName.HISTORY, rungs(1, [0]), part)
        reader.progress(read_facts(directory), is_running=True)
    assert sorted(read) == ["a.parquet", "b.parquet", "w0-0.parquet"]


def test_of_a_rung_that_was_read_only_the_name_of_its_part_is_remembered(begun_sweep):
    directory = begun_sweep("digits")
    reader, store, sizes = Summariser(directory), Store(directory), []
    for part in range(20):
        store.write(TableName.HISTORY, rungs(1, [100 * part]) * 50, f"w{part:02}")
        reader.progress(read_facts(directory), is_running=True)
        sizes.append(len(pickle.dumps(reader)))
    assert max(after - before for before, after in itertools.pairwise(sizes)) < 50


def test_parts_that_have_gone_are_forgotten(begun_sweep):
    directory = begun_sweep("digits")
    store, reader = Store(directory), Summariser(directory)
    store.write(TableName.HISTORY, rungs(1, [0, 100]), "a")
    store.write(TableName.HISTORY, rungs(2, [0]), "b")
    before = reader.progress(read_facts(directory), is_running=True)
    (directory / "history" / "a.parquet").unlink()
    after = reader.progress(read_facts(directory), is_running=True)
    assert (before.in_training, before.training_steps) == (2, 100)
    assert (after.in_training, after.training_steps) == (1, 0)


def test_damaged_files_are_named_without_their_place(begun_sweep):
    directory = begun_sweep("digits")
    (directory / "trials" / "broken.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(DamagedSweep) as error:
        of(directory)
    assert str(error.value).startswith("trials/broken.parquet: ")
    (directory / "sweep.toml").write_text("=")
    with pytest.raises(DamagedSweep, match=r"^sweep\.toml: "):
        read_facts(directory)


def test_parts_that_are_compacted_while_they_are_read_are_neither_lost_nor_doubled(
    small_sweep, tmp_path
):
    import shutil
    import threading

    from sweeps.compaction import compact

    directory = shutil.copytree(small_sweep, tmp_path / "small")
    expected = of(directory)
    thread = threading.Thread(target=compact, args=(Store(directory),))
    thread.start()
    while thread.is_alive():
        found = of(directory)
        assert found.counts.ended == expected.counts.ended
        assert found.best_trial == expected.best_trial
    thread.join()
    assert of(directory) == expected
