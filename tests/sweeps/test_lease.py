"""Two machines cannot run one sweep."""

import json
import threading
import time

import pytest

from gan_core.config import ConfigError
from sweeps.lease import Holder, Lease, held, running
from sweeps.store import Store
from sweeps.uri import child

QUICK = {"beat_s": 0.1, "settle_s": 0.05}
ELSEWHERE = Holder("elsewhere", 12, "n", "boot", "began")


@pytest.fixture
def store(s3_storage):
    return Store(child(s3_storage, "digits"))


def note(store, holder):
    store.write_note(".lock", json.dumps(holder.__dict__).encode())


def wait_until(condition, limit_s=60):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_sweep_is_held_while_it_runs_and_free_afterwards(store):
    assert running(store) is None
    with Lease(store, **QUICK) as lease:
        assert running(store) == lease._own
        assert lease.taken_over is None
        with pytest.raises(
            ConfigError, match=r"SWEEP = \"digits\": is being run by process \d+ of"
        ):
            Lease(store, **QUICK).__enter__()
    assert running(store) is None
    with Lease(store, **QUICK):
        pass


def test_another_machine_is_named_and_left_alone_until_it_is_silent(store):
    note(store, ELSEWHERE)
    assert running(store) == ELSEWHERE
    with pytest.raises(ConfigError, match=r"process 12 of elsewhere, heard of \d+ seconds ago"):
        Lease(store, **QUICK).__enter__()
    assert running(store, stale_s=0) is None
    with Lease(store, **QUICK, stale_s=0) as lease:
        assert lease.taken_over is not None
        assert "process 12 of elsewhere, not heard of for" in lease.taken_over


def test_a_dead_process_of_this_machine_is_not_waited_for(store):
    with Lease(store, **QUICK) as lease:
        own = lease._own
    note(store, Holder(own.host, own.pid, "before", own.boot, "another start of it"))
    assert running(store) is None
    with Lease(store, **QUICK) as lease:
        assert lease.taken_over is None


def test_one_who_was_taken_over_notices(store):
    with Lease(store, **QUICK) as lease:
        note(store, ELSEWHERE)
        wait_until(lambda: lease.lost is not None)
        assert lease.lost == "process 12 of elsewhere"
    assert running(store) == ELSEWHERE  # whose note is not ours to remove


def test_of_two_that_begin_at_once_one_goes_on(store):
    together, outcomes = threading.Barrier(2), []

    def begin():
        lease = Lease(store, beat_s=0.1, settle_s=1.0)
        together.wait()
        try:
            with lease:
                outcomes.append("runs")
                wait_until(lambda: len(outcomes) == 2)
        except ConfigError:
            outcomes.append("refused")

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "runs"]


def test_a_damaged_note_is_somebodys(store):
    store.write_note(".lock", b"{")
    with pytest.raises(ConfigError, match="another machine"):
        Lease(store, **QUICK).__enter__()


def test_in_a_directory_the_systems_lock_does(tmp_path):
    store = Store(tmp_path)
    with held(store) as lease:
        assert lease is None
        with pytest.raises(ConfigError, match="is being run by process"):
            held(store).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
