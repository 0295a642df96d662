"""Against a real PostgreSQL."""

import dataclasses
import signal
import sys
import threading
import time

import optuna
import pandas as pd
import pytest

from gan_core.config import ConfigError
from sweeps import database
from sweeps.continuation import check_study, load_study
from sweeps.database import DatabaseError, own_database
from sweeps.protocol import Final, Outcome, RungReport
from sweeps.settings import StudySettings
from sweeps.store import StorageError
from sweeps.study import StudyOwner
from sweeps.study_place import DatabaseStudy
from sweeps.study_url import parse_study

SETTINGS = StudySettings(trials=4, steps=20, eval_every=10, max_in_flight=4)


def suggest(trial):
    return {"lr_g": trial.suggest_float("lr_g", 1e-5, 1e-2, log=True)}


@pytest.fixture
def study(postgresql, request):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return DatabaseStudy(parse_study(postgresql.url), request.node.name)


@pytest.fixture
def own():
    """Owners that let go of the study in the end."""
    owners = []

    def make(study, settings=SETTINGS, run_id="run", **options):
        owners.append(StudyOwner(settings, suggest, study, run_id, **options))
        return owners[-1]

    yield make
    for owner in owners:
        owner.close()


def sweep(owner, interrupt=lambda: None):
    """Trains all trials one after the other, each rung after an interruption."""
    while not owner.status().done:
        for given in owner.exchange("w", (), (), (), 1).refills:
            for step in (10, 20):
                interrupt()
                owner.exchange("w", (given.trial,), [RungReport(given.trial, step, 1.0, 0)], (), 0)
            interrupt()
            final = Final(given.trial, Outcome.COMPLETE, 0)
            owner.exchange("w", (), (), [final], 0)


def assert_whole(study):
    trials = load_study(study).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 4
    assert all(trial.intermediate_values == {10: 1.0, 20: 1.0} for trial in trials)


def test_a_sweep_in_a_database_is_one_that_optuna_reads(study, own):
    check_study(SETTINGS, study, is_new=True)
    owner = own(study)
    sweep(owner)
    assert owner.status().complete == 4
    assert_whole(study)


def test_an_owner_after_another_goes_on_where_it_was(study, own):
    first = own(study)
    given = first.exchange("w", (), (), (), 2).refills
    first.begin_worker("w")
    first.close()
    second = own(study)
    assert second.begin_worker("w") == 1
    again = second.exchange("w", (), (), (), 2).refills
    assert [(a.trial, a.attempt, a.hyperparameters) for a in again] == [
        (a.trial, 1, a.hyperparameters) for a in given
    ]


def test_whatever_is_cut_or_restarted_in_between_nothing_is_lost(postgresql, study, own):
    cuts = [
        postgresql.cut_connections,
        postgresql.restart,
        lambda: postgresql.restart(signal.SIGQUIT),
    ]
    turn = iter(range(100))
    owner = own(study)
    sweep(owner, lambda: cuts[next(turn) % 3]())
    assert_whole(study)
    assert next(turn) >= 12


def test_an_exchange_waits_for_a_database_that_comes_back(postgresql, study, own):
    owner = own(study)
    (given,) = owner.exchange("w", (), (), (), 1).refills
    postgresql.stop()
    later = threading.Timer(1.0, postgresql.start)
    later.start()
    owner.exchange("w", (given.trial,), [RungReport(given.trial, 10, 1.0, 0)], (), 0)
    later.join()
    assert load_study(study).trials[given.trial].intermediate_values == {10: 1.0}
    assert owner.status().failure is None


def test_a_database_that_does_not_come_back_ends_the_sweep_in_one_line(postgresql, study, own):
    owner = own(study, outage_s=0.2)
    (given,) = owner.exchange("w", (), (), (), 1).refills
    postgresql.stop()
    try:
        with pytest.raises(StorageError, match=r"cannot be written: .*refused"):
            owner.exchange("w", (given.trial,), [RungReport(given.trial, 10, 1.0, 0)], (), 0)
    finally:
        postgresql.start()
    status = owner.status()
    assert status.stopping
    assert "\n" not in status.failure
    assert "p@ss" not in status.failure


def test_a_second_owner_is_refused_and_one_that_was_cut_off_cannot_write(
    postgresql, study, own, monkeypatch
):
    monkeypatch.setattr(database, "_OWNED_WITHIN_S", 0.1)
    first = own(study, outage_s=0.2)
    (given,) = first.exchange("w", (), (), (), 1).refills
    with pytest.raises(StorageError, match="another process owns the study"):
        own(study, run_id="second", outage_s=0.0)
    other = dataclasses.replace(study, name="other")
    own(other)
    postgresql.cut_connections()  # the first does not know it yet
    own(study, run_id="second")
    with pytest.raises(StorageError, match="another process owns the study"):
        first.exchange("w", (given.trial,), [RungReport(given.trial, 10, 1.0, 0)], (), 0)
    assert load_study(study).trials[given.trial].intermediate_values == {}


def test_a_study_of_a_sweep_that_was_deleted_is_not_gone_on_with(study, own):
    own(study).exchange("w", (), (), (), 1)
    check_study(SETTINGS, study)
    with pytest.raises(ConfigError, match="of a sweep that lay here before: must be deleted"):
        check_study(SETTINGS, study, is_new=True)
    with pytest.raises(ConfigError, match=r"search.seed = 1: this study was begun with 0"):
        check_study(dataclasses.replace(SETTINGS, seed=1), study)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((":s3cr%2Ft%3Ap%40ss", ":wrong"), "password authentication failed"),
        ((":s3cr%2Ft%3Ap%40ss", ""), "PGPASSWORD or ~/.pgpass"),
        (("/postgres", "/nodb"), 'database "nodb" does not exist'),
        (("postgres?", "postgres?bla=1&"), "bla"),
    ],
)
def test_a_database_that_refuses_says_why_in_one_line(postgresql, study, change, told, monkeypatch):
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    url = f"{postgresql.url}?connect_timeout=5".replace("postgresql://", "PG//")
    changed = url.replace(*change).replace("PG//", "postgresql://")
    with pytest.raises(DatabaseError) as refused:
        check_study(SETTINGS, DatabaseStudy(parse_study(changed), "s"))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cr" not in str(refused.value)


def test_the_password_may_come_from_the_environment(postgresql, study, own, monkeypatch):
    url = parse_study(postgresql.url_without_password)
    owner = own(dataclasses.replace(study, url=url, variables={"PGPASSWORD": "s3cr/t:p@ss"}))
    monkeypatch.delenv("PGPASSWORD")  # the owner has set it
    assert owner.status().running == 0


def test_without_psycopg_it_says_what_to_install(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r'needs psycopg: pip install "gansweep\[postgresql\]"'):
        own_database(study)


def test_the_lock_goes_with_its_process_and_not_before(study, own, monkeypatch):
    first = own(study)
    closing = threading.Timer(0.5, first.close)
    begin = time.monotonic()
    closing.start()
    second = own(study)
    assert time.monotonic() - begin >= 0.5
    assert second.status().running == 0


@pytest.mark.slow  # two whole runs: Ray takes its seconds
def test_a_sweep_runs_and_goes_on_with_its_study_in_a_database_and_its_password_nowhere(
    postgresql, run, tmp_path, monkeypatch
):
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    tiny = ["data.dataset=ring8", "train.steps=40", "train.eval_every=20", "train.eval_images=100"]
    tiny += ["model.generator_widths=[8]", "model.discriminator_widths=[8]", "train.seeds=1"]
    changes = [word for change in tiny for word in ("--set", change)]
    begin = ["run", *changes, "--name", "x", "--trials", "4"]
    code, _, told = run(*begin, "--set", f"study={postgresql.url_without_password}")
    assert (code, told.count("\n")) == (1, 1)
    assert "PGPASSWORD or ~/.pgpass" in told
    assert not (tmp_path / "runs" / "x").exists()
    outputs = [run(*begin, "--set", f"study={postgresql.url}")]
    assert run("resume", "x", "--trials", "6")[0] == 1
    outputs.append(run("resume", "x", "--trials", "6", "--study", postgresql.url))
    monkeypatch.setenv("PGPASSWORD", "s3cr/t:p@ss")
    outputs.append(run("resume", "x", "--trials", "8"))
    assert [code for code, _, _ in outputs] == [0, 0, 0]
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in ("s3cr/t:p@ss", "s3cr%2Ft%3Ap%40ss"):
        assert secret.encode() not in stored
        assert all(secret not in out + err for _, out, err in outputs)
    assert not (tmp_path / "runs" / "x" / "study.journal").exists()
    table = pd.read_parquet(tmp_path / "runs" / "x" / "trials")
    assert sorted(table["trial"]) == list(range(8))
