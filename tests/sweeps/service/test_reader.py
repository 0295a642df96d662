import math
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import time
from concurrent.futures import CancelledError

import pytest

from sweeps.service.access import sweep_name
from sweeps.service.reader import Reader, ReaderDied
from sweeps.service.refusals import Refusal

WITHIN_S = 60  # on a busy machine; what is shown not to happen would take for ever


@pytest.fixture
def begin():
    """Begins readers that are closed in the end: (**settings) -> Reader."""
    readers = []

    def call(**settings):
        readers.append(Reader(**settings))
        return readers[-1]

    yield call
    for reader in readers:
        reader.close()


def result(future):
    return future.result(WITHIN_S)


def test_what_is_called_for_at_once_is_made_in_turn_however_often_the_process_is_begun_anew(begin):
    reader = begin(calls=2)
    made = [result(future) for future in [reader.submit(os.getpid) for _ in range(7)]]
    assert os.getpid() not in made
    assert [made.count(process) for process in dict.fromkeys(made)] == [2, 2, 2, 1]


def test_what_a_function_raises_is_raised_and_says_where_it_came_from(begin):
    reader = begin()
    with pytest.raises(ValueError, match="math domain error") as raised:
        result(reader.submit(math.sqrt, -1))
    assert "Traceback" in "".join(raised.value.__notes__)
    with pytest.raises(Refusal, match="no sweep of such a name") as refused:
        result(reader.submit(sweep_name, "../elsewhere"))
    assert refused.value.status == 404


def test_memory_that_an_answer_took_is_given_back(begin):
    reader = begin()
    # The last block stands above the others, so that the C library would keep them.
    litter = "import os; blocks = [bytearray(100_000) for _ in range(2000)]; os.last = blocks[-1]"
    before = own_mib(result(reader.submit(os.getpid)))
    result(reader.submit(exec, litter, {}))
    assert own_mib(result(reader.submit(os.getpid))) < before + 50  # of 200


def own_mib(process):
    rolled_up = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
    return int(re.search(r"Anonymous:\s+(\d+) kB", rolled_up)[1]) / 1024


def test_what_cannot_be_sent_either_way_is_told_and_does_no_harm(begin):
    reader = begin()
    with pytest.raises(Exception, match="pickle"):
        result(reader.submit(lambda: None))
    with pytest.raises(RuntimeError, match="pickle"):
        result(reader.submit(open, os.devnull))
    assert result(reader.submit(math.sqrt, 4)) == 2


def test_a_process_that_was_killed_is_told_of_once_and_replaced(begin):
    reader = begin()
    before = result(reader.submit(os.getpid))
    with pytest.raises(ReaderDied):
        result(reader.submit(os._exit, 1))
    assert result(reader.submit(os.getpid)) != before


def test_a_call_that_takes_too_long_is_ended(begin):
    reader = begin(longest_s=1.0)
    with pytest.raises(ReaderDied, match="longer than 1 second"):
        result(reader.submit(time.sleep, 10 * WITHIN_S))
    assert result(reader.submit(math.sqrt, 4)) == 2


def test_its_end_does_not_wait_for_what_it_is_busy_with(begin):
    reader = begin()
    process = result(reader.submit(os.getpid))
    busy, waiting = (reader.submit(time.sleep, 10 * WITHIN_S) for _ in range(2))
    while not busy.running():
        time.sleep(0.01)
    reader.close()
    for future in (busy, waiting, reader.submit(os.getpid)):
        with pytest.raises((ReaderDied, CancelledError)):
            result(future)
    assert process not in {child.pid for child in multiprocessing.active_children()}
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_program_that_forgets_to_close_it_ends_all_the_same(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\n"
        "from sweeps.service.reader import Reader\n"
        "if __name__ == '__main__':\n"
        "    reader = Reader()\n"
        "    print(reader.submit(os.getpid).result())\n"
        "    reader.submit(time.sleep, 1000)\n"
    )
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=WITHIN_S, check=True
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
