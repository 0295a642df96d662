import subprocess

import pytest

from .cluster import wait_for
from .processes import descendants, kill, titled


@pytest.fixture
def family():
    """A shell with two children."""
    command = ["sh", "-c", "sleep 600 & sleep 601 & echo; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        parent.stdout.readline()
        # Until it begins its program, a child is a copy of the shell.
        wait_for(lambda: not titled(descendants(parent.pid), "echo"), "sleep", limit_s=60)
        yield parent
        kill([*descendants(parent.pid), parent.pid])


def test_descendants_are_found_and_told_apart_by_what_they_run(family):
    found = descendants(family.pid)
    assert len(found) == 2
    assert family.pid not in found
    (first,) = titled(found, "sleep", "600")
    (second,) = titled(found, "sleep", "601")
    assert {first, second} == set(found)
    assert titled(found, "sleep", "602") == []


def test_a_killed_process_leaves_the_others_and_may_be_killed_again(family):
    found = descendants(family.pid)
    (first,) = titled(found, "600")
    kill([first, first])
    wait_for(lambda: not titled([first], "sleep"), "its end", limit_s=60)
    kill([first])
    (left,) = titled(descendants(family.pid), "sleep")
    assert left != first
    assert family.poll() is None
