"""A sweep goes on only with what its trials so far can be compared with."""

import dataclasses

import pytest

from gan_core.config import ConfigError
from sweeps import continuation
from sweeps.continuation import check_study, open_study
from sweeps.journal import open_journal
from sweeps.settings import StudySettings

SETTINGS = StudySettings(
    trials=12,
    steps=80,
    eval_every=10,
    seeds=2,
    fixed={
        "data.dataset": "digits",
        "model.generator_widths": (8, 8),
        "train.batch_size": 64,
        "space.lr_g": {"low": 1e-5, "high": 1e-2, "log": True},
        "space.loss": {"choices": ("hinge", "wgan")},
    },
)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.log"


@pytest.fixture
def begin(journal):
    """Opens the test's study, as an owner does."""

    def open_it(settings=SETTINGS):
        return open_study(open_journal(journal), settings)

    return open_it


def refusal(begin, journal, settings):
    """What both say that open a study: the command before anything starts, and the owner."""
    with pytest.raises(ConfigError) as of_command:
        check_study(settings, journal)
    with pytest.raises(ConfigError) as of_owner:
        begin(settings)
    assert str(of_command.value) == str(of_owner.value)
    return of_command.value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("objective", "mode_kl", 'search.objective = "mode_kl": this study was begun with "fre'),
        ("objective", "mode_entropy", 'search.objective = "mode_entropy": this study was begun'),
        ("seed", 1, "search.seed = 1: this study was begun with 0; another value needs a new swe"),
        ("seeds", 3, "train.seeds = 3: this study was begun with 2; "),
        ("steps", 90, "train.steps = 90: this study was begun with 80; "),
        ("eval_every", 20, "train.eval_every = 20: this study was begun with 10; "),
    ],
)
def test_values_of_another_length_seed_or_objective_are_not_mixed(
    begin, journal, name, value, message
):
    begin()
    refused = refusal(begin, journal, dataclasses.replace(SETTINGS, **{name: value}))
    assert str(refused).startswith(message)


WGAN, RATE = '{"choices": ["hinge", "wgan"]}', '{"low": 1e-05, "high": 0.01, "log": true}'


@pytest.mark.parametrize(
    ("key", "value", "shown", "before"),
    [
        ("data.dataset", "mnist", '"mnist"', 'with "digits"'),
        ("model.generator_widths", (8,), "[8]", "with [8, 8]"),
        ("train.batch_size", 32, "32", "with 64"),
        ("space.lr_g", {"low": 1e-5}, '{"low": 1e-05}', f"with {RATE}"),
        ("space.loss", {"choices": ("hinge",)}, '{"choices": ["hinge"]}', f"with {WGAN}"),
        ("space.loss", "hinge", '"hinge"', f"with {WGAN}"),
        ("space.loss", None, "(not given)", f"with {WGAN}"),
        ("space.beta1", 0.5, "0.5", "without it"),
    ],
)
def test_nor_are_values_of_something_else_that_is_learnt(begin, journal, key, value, shown, before):
    begin()
    now = {name: v for name, v in (SETTINGS.fixed | {key: value}).items() if v is not None}
    refused = refusal(begin, journal, dataclasses.replace(SETTINGS, fixed=now))
    assert refused.key == key
    right = f"this study was begun {before}; another value needs a new sweep"
    assert str(refused) == f"{key} = {shown}: {right}"


def test_the_same_in_another_order_and_with_keys_of_a_newer_version_goes_on(begin, journal):
    begin()
    fixed = dict(reversed(SETTINGS.fixed.items())) | {"model.dropout": 0.0}
    settings = dataclasses.replace(SETTINGS, fixed=fixed, trials=20, max_in_flight=3)
    check_study(settings, journal)
    begin(settings)


def test_a_study_of_before_such_things_were_kept_goes_on(begin, journal, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(continuation, "_FIXED", "seeds")
        begin()
    check_study(SETTINGS, journal)


def test_where_there_is_no_study_yet_nothing_is_refused(journal):
    check_study(SETTINGS, journal)
    assert not journal.exists()
    open_journal(journal)
    check_study(SETTINGS, journal)


def test_a_study_is_opened_without_a_word(begin, capfd):
    begin()
    begin()
    assert capfd.readouterr() == ("", "")
