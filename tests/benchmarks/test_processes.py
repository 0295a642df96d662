import contextlib
import os
import subprocess
import sys
import time

import pytest

from benchmarks.processes import (
    anonymous_bytes,
    cpu_seconds,
    descendants,
    processes,
    proportional_bytes,
    title,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's /proc tells it")

NONE = 2**30  # above any process id
HOLDS = "held = bytearray(64 * 2**20); print(len(held), flush=True); input()"


@contextlib.contextmanager
def begun(program):
    """A program that has printed a line and waits for one."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as child:
        yield child.pid, child.stdout.readline().strip()
        child.communicate("\n")


@pytest.mark.parametrize("memory", [proportional_bytes, anonymous_bytes])
def test_memory_is_of_the_process_asked_for_and_nothing_where_there_is_none(memory):
    # This one shares torch's pages with whoever begins or ends meanwhile, and reuses freed memory.
    with begun(HOLDS) as (process, _):
        # An interpreter takes some 10 MiB beside it.
        assert 64 * 2**20 < memory(process) < 128 * 2**20
    assert memory(NONE) == 0


def test_descendants_are_children_and_theirs():
    inner = "import os; print(os.getpid(), flush=True); input()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with begun(outer) as (child, grandchild):
        found = descendants(os.getpid())
        assert {child, int(grandchild)} <= set(found)
        assert descendants(child) == [int(grandchild)]
        assert {os.getpid(), child} <= set(processes())
    assert descendants(NONE) == []


def test_processor_time_is_summed_and_is_nothing_where_there_is_no_process():
    before, own = cpu_seconds([os.getpid()]), time.process_time()
    while time.process_time() < own + 0.3:
        pass
    # In ticks of the system, mostly of a hundredth of a second.
    assert cpu_seconds([os.getpid(), NONE]) - before == pytest.approx(0.3, abs=0.1)
    assert cpu_seconds([NONE]) == 0


def test_a_title_is_the_command_line():
    with begun("print(1, flush=True); input()") as (process, _):
        assert title(process).startswith(f"{sys.executable} -c print(1")
    assert title(NONE) == ""
