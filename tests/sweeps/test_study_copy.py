"""The journal's copy in an object store: the newer of two counts."""

import time

import pytest

from sweeps.store import Store
from sweeps.study_copy import JournalCopy, adopt, copied
from sweeps.uri import child

NAME = "study.journal"
LINES = [b'{"op": %d}\n' % n for n in range(6)]


@pytest.fixture
def store(s3_storage):
    return Store(child(s3_storage, "digits"))


@pytest.fixture
def journal(store):
    store.home.mkdir(parents=True)
    return store.home / NAME


def wait_until(condition, limit_s=60):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_written_is_copied_as_it_grows_and_at_the_end(store, journal):
    copy = JournalCopy(store, journal, every_s=0.05)
    copy.begin()
    journal.write_bytes(LINES[0] + b'{"half of')
    wait_until(lambda: store.read_note(NAME) == LINES[0])
    with journal.open("ab") as file:
        file.write(b' a line"}\n')
    copy.end()
    assert store.read_note(NAME) == journal.read_bytes()
    assert copy.failure is None


def test_who_lost_the_sweep_copies_no_more(store, journal):
    copy = JournalCopy(store, journal, may=lambda: False)
    journal.write_bytes(LINES[0])
    copy.begin()
    copy.end()
    assert store.read_note(NAME) is None


def test_what_cannot_be_copied_is_said_and_stops_nothing(s3, store, journal):
    s3.down = True
    copy = JournalCopy(Store(store.uri, patience_s=0.1), journal)
    journal.write_bytes(LINES[0])
    copy.begin()
    copy.end()
    assert copy.failure.startswith(f"cannot write {store.location}/study.journal")


def test_a_local_sweep_needs_no_copy(tmp_path):
    with copied(Store(tmp_path), tmp_path / NAME) as copy:
        assert copy is None


@pytest.mark.parametrize(
    ("here", "there", "expected", "said"),
    [
        (LINES[:3], LINES[:2], LINES[:3], None),
        (LINES[:3], LINES[:3], LINES[:3], None),
        (LINES[:3], [], LINES[:3], None),
        ([], LINES[:2], LINES[:2], "The study is taken from its copy in s3://"),
        (LINES[:2], LINES[:4], LINES[:4], "The sweep went on elsewhere since it ran here"),
        (LINES[:4], [*LINES[:2], LINES[5]], [*LINES[:2], LINES[5]], "What was here is now "),
        ([], [], [], None),
    ],
)
def test_the_newer_of_two_journals_counts(store, journal, here, there, expected, said):
    if here:
        journal.write_bytes(b"".join(here) + b'{"torn')
    if there:
        store.write_note(NAME, b"".join(there))
    line = adopt(store, journal, is_new=False)
    whole = journal.read_bytes().removesuffix(b'{"torn') if journal.exists() else b""
    assert whole == b"".join(expected)
    assert line is None if said is None else said in line
    before = journal.with_name("study.journal.before")
    assert before.exists() == ("What was here" in (line or ""))


def test_a_new_sweep_does_not_go_on_with_what_one_of_its_name_left(store, journal):
    journal.write_bytes(LINES[0])
    assert adopt(store, journal, is_new=True) is None
    assert not journal.exists()
