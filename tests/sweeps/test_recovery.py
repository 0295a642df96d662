"""A study is made again of the results alone, as it was told by the workers."""

import shutil

import optuna
import pytest

from sweeps.config_file import load_config
from sweeps.journal import open_journal
from sweeps.recovery import Recovered, recover
from sweeps.space import Space
from sweeps.store import Store
from sweeps.study import StudyOwner

optuna.logging.set_verbosity(optuna.logging.WARNING)


def config_of(directory):
    return load_config(directory / "sweep.toml", check_files=False)


def trials_of(journal):
    study = optuna.load_study(study_name=None, storage=open_journal(journal))
    return {trial.number: trial for trial in study.trials}


def told(trial):
    """What the sampler, the pruner and a resumed owner see of a trial that has ended."""
    names = ("hyperparameters", "seeds", "outcome", "baseline")
    return (
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.intermediate_values,
        trial.constraints,
        {name: trial.user_attrs.get(name) for name in names},
    )


def test_without_a_journal_every_trial_is_told_as_it_was(small_sweep, tmp_path):
    journal = tmp_path / "study.journal"
    found = recover(config_of(small_sweep), journal, Store(small_sweep))
    assert found == Recovered(ended=6, begun=0)
    before, after = trials_of(small_sweep / "study.journal"), trials_of(journal)
    assert len(after) == 6
    for number, trial in before.items():
        assert told(after[number]) == told(trial), number
    assert recover(config_of(small_sweep), journal, Store(small_sweep)) == Recovered()


@pytest.mark.parametrize("share", [0.15, 0.4, 0.75])
def test_of_a_copy_that_is_old_only_what_it_lacks_is_told(small_sweep, tmp_path, share):
    lines = (small_sweep / "study.journal").read_bytes().splitlines(keepends=True)
    journal = tmp_path / "study.journal"
    journal.write_bytes(b"".join(lines[: int(share * len(lines))]))
    known = {n for n, t in trials_of(journal).items() if t.state.is_finished()}
    found = recover(config_of(small_sweep), journal, Store(small_sweep))
    assert found == Recovered(ended=6 - len(known), begun=0)
    before, after = trials_of(small_sweep / "study.journal"), trials_of(journal)
    assert {n: told(t) for n, t in after.items()} == {n: told(t) for n, t in before.items()}


def test_a_resumed_owner_has_nothing_left_to_do_and_the_same_best(small_sweep, tmp_path):
    config, journal = config_of(small_sweep), tmp_path / "study.journal"
    recover(config, journal, Store(small_sweep))
    owners = [
        StudyOwner(config.settings(), Space(config).suggest, path, "again")
        for path in (journal, shutil.copy(small_sweep / "study.journal", tmp_path / "whole"))
    ]
    assert owners[0].status() == owners[1].status()
    assert owners[0].status().done


def without_end(sweep, *trials):
    """Removes the rows of their ends, as if the sweep had been killed before."""
    store = Store(sweep)
    for part in store.parts("trials"):
        rows = store.read_part("trials", part)
        kept = [row not in trials for row in rows["trial"].to_pylist()]
        store.put_part("trials", rows.filter(kept), part)


def test_what_had_begun_begins_again_under_a_later_attempt(own_sweep, tmp_path):
    without_end(own_sweep, 3, 5)
    config, journal = config_of(own_sweep), tmp_path / "study.journal"
    assert recover(config, journal, Store(own_sweep)) == Recovered(ended=4, begun=2)
    owner = StudyOwner(config.settings(), Space(config).suggest, journal, "again")
    assert owner.status().running == 2
    given = owner.exchange("w", (), (), (), want=4).refills
    assert {assignment.trial: assignment.attempt for assignment in given} == {3: 1, 5: 1}
    assert all(a.seeds == config.settings().seeds_of(a.trial) for a in given)


def test_a_trial_of_which_something_is_kept_keeps_its_hyperparameters(
    run_small_sweep, tmp_path, monkeypatch
):
    kept = {}
    write = Store.write_members

    def remember(self, trial, content):
        kept[trial] = content
        write(self, trial, content)

    monkeypatch.setattr(Store, "write_members", remember)
    sweep = run_small_sweep(tmp_path / "small", "train.checkpoint_every_s=0", "search.trials=2")
    before = trials_of(sweep / "study.journal")[1].user_attrs["hyperparameters"]
    without_end(sweep, 1)
    Store(sweep).write_members(1, kept[1])
    config, journal = config_of(sweep), tmp_path / "study.journal"
    assert recover(config, journal, Store(sweep)) == Recovered(ended=1, begun=1)
    owner = StudyOwner(config.settings(), Space(config).suggest, journal, "again")
    (given,) = owner.exchange("w", (), (), (), want=4).refills
    assert (given.trial, given.attempt, given.hyperparameters) == (1, 1, before)


def test_rows_that_a_later_attempt_followed_end_nothing(small_sweep, tmp_path):
    config, journal = config_of(small_sweep), tmp_path / "study.journal"
    owner = StudyOwner(config.settings(), Space(config).suggest, journal, "run")
    owner.exchange("w", (), (), (), want=1)
    owner.exchange("w", (), (), (), want=1)  # it never got the first reply
    assert trials_of(journal)[0].user_attrs["owner"]["attempt"] == 1
    assert recover(config, journal, Store(small_sweep)) == Recovered(ended=5, begun=0)
    assert not trials_of(journal)[0].state.is_finished()


def test_where_there_are_no_results_nothing_is_made(tmp_path):
    journal = tmp_path / "study.journal"
    assert recover(load_config(None), journal, Store(tmp_path / "digits")) == Recovered()
    assert not journal.exists()


def test_a_member_that_was_broken_by_its_workers_is_told_failed(begun_sweep, tmp_path):
    store = Store(begun_sweep("digits", "search.baseline=[]"))
    (part,) = store.parts("trials")
    row = store.read_part("trials", part).to_pylist()[0]
    store.write("trials", [{**row, "status": "failed", "beta1": 0.5, "latent_dim": 8}], part)
    config, journal = config_of(store.home), tmp_path / "study.journal"
    assert recover(config, journal, store) == Recovered(ended=1)
    (trial,) = trials_of(journal).values()
    assert trial.state.name == "FAIL"
    assert trial.user_attrs["outcome"] == "failed"
