import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from sweeps.journal import open_journal
from sweeps.mirror import Mirror
from sweeps.study_place import STUDY_NAME, open_own_storage


class Failing(InMemoryStorage):
    fails = False

    def set_trial_intermediate_value(self, *arguments):
        if self.fails:
            raise OSError("no")
        super().set_trial_intermediate_value(*arguments)


@pytest.fixture
def behind():
    """Another study is there already, so ids and numbers differ."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = Failing()
    other = optuna.create_study(storage=storage, study_name="other")
    other.tell(other.ask(), 1.0)
    return storage


def study_in(storage, name="s"):
    return optuna.create_study(storage=storage, study_name=name, load_if_exists=True)


def swept(behind):
    study = study_in(Mirror(behind, "s"))
    study.set_user_attr("objective", "x")
    study.enqueue_trial({"x": 0.5}, user_attrs={"baseline": 1})
    for number in range(4):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("owner", {"worker": "w"})
        trial.report(1.0 + number, 10)
        if number == 1:
            trial.set_constraint("diverged_share", 1.0)
        if number < 3:
            state = TrialState.PRUNED if number == 1 else TrialState.COMPLETE
            study.tell(trial, None if number == 1 else float(number), state)
    return study


def known(study):
    return [
        (t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs, t.system_attrs)
        for t in study.get_trials()
    ]


def test_what_is_written_is_behind_and_another_mirror_shows_the_same(behind):
    study = swept(behind)
    assert known(study)[0][2] == {"x": 0.5}
    assert known(optuna.load_study(storage=behind, study_name="s")) == known(study)
    again = study_in(Mirror(behind, "s"))
    assert known(again) == known(study)
    assert again.user_attrs == {"objective": "x"}
    again.tell(3, 7.0)
    assert optuna.load_study(storage=behind, study_name="s").trials[3].value == 7.0
    assert len(optuna.load_study(storage=behind, study_name="other").trials) == 1


def test_what_fails_behind_is_not_shown(behind):
    mirror = Mirror(behind, "s")
    study = study_in(mirror)
    trial = study.ask()
    behind.fails = True
    with pytest.raises(OSError, match="no"):
        trial.report(1.0, 10)
    assert study.trials[0].intermediate_values == {}


def test_a_journal_and_its_mirror_hold_one_object_for_each_ended_trial(tmp_path):
    path = tmp_path / "study.journal"
    for again in (False, True):  # also when it is opened again
        mirror = open_own_storage(path)
        study = study_in(mirror, STUDY_NAME)
        if not again:
            for _ in range(3):
                trial = study.ask()
                trial.suggest_float("x", 0, 1)
                study.tell(trial, 1.0)
            study.ask()
        here = study.get_trials(deepcopy=False)
        behind = mirror._behind.get_all_trials(0, deepcopy=False)
        assert [a is b for a, b in zip(here, behind, strict=True)] == [True, True, True, False]
        assert len({id(trial.distributions["x"]) for trial in here[:3]}) == 1
        assert known(study) == known(study_in(open_journal(path), STUDY_NAME))


def test_trials_are_not_shared_where_ids_differ(behind):
    shared = []
    study = study_in(Mirror(behind, "s", share=shared.append))
    study.tell(study.ask(), 1.0)
    assert shared == []


@pytest.mark.parametrize("foreign", [1, 2, 3, 9])
@pytest.mark.parametrize("last", ["ask", "note", "tell"])
def test_what_somebody_else_adds_to_a_journal_shifts_nothing(tmp_path, last, foreign):
    path = tmp_path / "study.journal"
    study = study_in(mirror := open_own_storage(path), STUDY_NAME)
    with mirror.together():
        trial = study.ask()
        if last != "ask":
            trial.set_user_attr("a", 1)
        if last == "tell":
            study.tell(trial, 2.0)
    other = open_journal(path)
    for number in range(foreign):  # as who writes a note in optuna-dashboard
        other.set_study_user_attr(0, f"note {number}", "text")
    with mirror.together():
        study.tell(study.ask(), 3.0)
        if last != "tell":
            study.tell(trial, 2.0)
    assert [t.value for t in study.trials] == [2.0, 3.0]
    fresh = study_in(open_journal(path), STUDY_NAME)
    assert known(fresh) == known(study)
    assert len(fresh.user_attrs) == foreign
