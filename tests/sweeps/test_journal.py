import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from sweeps.journal import LOCK_GRACE_S, JournalFile, open_journal, repair


def begin(path, trials=3):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=open_journal(path), study_name="s", load_if_exists=True)
    for _ in range(trials):
        study.tell(study.ask(), 1.0)
    return study


def test_a_journal_is_made_with_its_folder_and_read_again(tmp_path):
    path = tmp_path / "new" / "journal.log"
    begin(path)
    assert len(begin(path, trials=0).trials) == 3


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_cut_off_and_the_study_goes_on(tmp_path, cut):
    path = tmp_path / "journal.log"
    begin(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    study = begin(path, trials=0)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "RUNNING"]  # the last operation was telling it
    study.tell(2, 1.0)
    assert [trial.state.name for trial in begin(path, trials=0).trials] == ["COMPLETE"] * 3


def test_repair_counts_what_it_cuts_and_leaves_the_sound_alone(tmp_path):
    path = tmp_path / "journal.log"
    assert repair(path) == 0
    for content, torn in [(b"", 0), (b"{}\n", 0), (b"{}\n{}\n", 0), (b"{}\n{", 1), (b"{}", 2)]:
        path.write_bytes(content)
        assert repair(path) == torn
        assert path.read_bytes() == content[: len(content) - torn]
    path.write_bytes(b"{}\n\0\0\0\0")  # what some file systems leave after a power cut
    assert repair(path) == 4


def test_the_lock_of_a_killed_writer_is_broken_also_under_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    path = tmp_path / "runs" / "journal.log"
    study = begin(path.relative_to(tmp_path))
    code = "import os, sys; os.symlink(sys.argv[1], sys.argv[1] + '.lock')"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    lock = study._storage._backend._lock
    assert lock.grace_period == LOCK_GRACE_S
    lock.grace_period = 0.2  # saves seconds; Optuna wants whole ones from its users
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it says that it breaks the lock
    start = time.monotonic()
    study.ask()
    assert 0.2 <= time.monotonic() - start < LOCK_GRACE_S
    assert not os.path.lexists(f"{path}.lock")


def test_what_goes_together_is_written_and_synced_at_once(tmp_path, monkeypatch):
    path, synced = tmp_path / "journal.log", []
    study = begin(path, trials=2)
    before = path.stat().st_size
    monkeypatch.setattr("sweeps.journal.os.fsync", lambda file: synced.append(path.stat().st_size))
    with study._storage.together():
        for number in range(2, 5):
            study.tell(study.ask(), float(number))
        assert [trial.value for trial in study.trials] == [1.0, 1.0, 2.0, 3.0, 4.0]
        assert path.stat().st_size == before
        assert synced == []
    assert synced == [path.stat().st_size]
    assert begin(path, trials=0).trials == study.trials
    study.ask()
    assert len(synced) == 3  # and once by `begin`
    with study._storage.together():
        pass
    assert len(synced) == 3


def test_a_group_in_a_group_ends_with_the_outer_one(tmp_path, monkeypatch):
    path, synced = tmp_path / "journal.log", []
    study = begin(path, trials=0)
    monkeypatch.setattr("sweeps.journal.os.fsync", lambda file: synced.append(path.stat().st_size))
    together = study._storage.together
    with together():
        with together():
            study.ask()
        assert synced == []
        study.ask()
        with pytest.raises(KeyError), together():
            raise KeyError
        assert synced == []
    assert len(synced) == 1
    assert len(begin(path, trials=0).trials) == 2


def test_what_threads_write_together_stands_in_the_file_as_they_saw_it(tmp_path):
    path = tmp_path / "journal.log"
    study = begin(path, trials=0)

    def ask(worker):
        for _ in range(5):
            with study._storage.together():
                for _ in range(4):
                    study.ask().set_user_attr("worker", worker)

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(study.trials) == 80
    assert begin(path, trials=0).trials == study.trials


def test_what_somebody_else_has_written_is_seen_by_who_writes_next(tmp_path):
    path = tmp_path / "journal.log"
    one, other = begin(path, trials=1), begin(path, trials=2)
    with one._storage.together():
        one.ask()
        one.ask()
    assert [trial.number for trial in one.trials] == list(range(5))
    assert other.trials == one.trials


def test_a_second_writer_in_the_middle_is_noticed_before_anything_is_written(tmp_path):
    path = tmp_path / "journal.log"
    one, other = begin(path, trials=1), begin(path, trials=1)
    group = one._storage.together()
    group.__enter__()
    one.ask()
    other.ask()
    with pytest.raises(OSError, match="another process writes to it"):
        group.__exit__(None, None, None)
    assert len(begin(path, trials=0).trials) == 3


def test_nothing_is_read_again_however_it_is_written(tmp_path, monkeypatch):
    study = begin(tmp_path / "journal.log", trials=0)
    read = []
    look = JournalFile._look
    monkeypatch.setattr(JournalFile, "_look", lambda file: read.append(look(file)) or read[-1])
    monkeypatch.setattr(JournalFileBackend, "read_logs", None)  # which may begin at the beginning
    for together in (study._storage.together, nullcontext):
        for _ in range(3):
            with together():
                for _ in range(4):
                    study.tell(study.ask(), 1.0)
    assert len(study.trials) == 24
    assert not any(read)


def test_a_storage_may_be_read_from_the_beginning(tmp_path):
    path = tmp_path / "journal.log"
    study = begin(path)
    with study._storage.together():
        study.ask()
        logs = list(study._storage._file.read_logs(0))
    assert logs == list(open_journal(path)._file.read_logs(0))


def test_what_a_failed_group_wrote_is_synced_when_it_is_acknowledged(tmp_path, monkeypatch):
    path, synced = tmp_path / "journal.log", []
    study = begin(path, trials=0)
    monkeypatch.setattr("sweeps.journal.os.fsync", lambda file: synced.append(path.stat().st_size))
    group = study._storage.together()
    group.__enter__()
    study.ask()
    assert not group.__exit__(KeyError, KeyError("a mistake"), None)
    assert synced == []
    with study._storage.together():
        assert len(study.trials) == 1  # as who repeats it sees, and writes nothing
    assert len(synced) == 1
    assert len(begin(path, trials=0).trials) == 1
