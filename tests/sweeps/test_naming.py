"""What a sweep may be called."""

import shlex

import pytest

from gan_core.config import ConfigError
from sweeps.naming import can_be_name, check_name, command


@pytest.mark.parametrize("name", ["a", "0", "mnist-losses", "a.b_c-1", "a..b", "x" * 100])
def test_a_plain_name_is_taken(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/x", "a/b", "a\\b", ".x", "-x", "A", "a b", "a\n", "é", "x" * 101],
)
def test_a_name_that_could_leave_the_storage_is_refused(name):
    with pytest.raises(ConfigError, match="must be 1 to 100 of a-z"):
        check_name(name)
    assert not can_be_name(name)


def test_a_command_that_is_shown_can_be_pasted(tmp_path):
    shown = command("resume", tmp_path / "my runs" / "it's")
    assert shown[0] == shown[-1] == "`"
    assert shlex.split(shown[1:-1]) == ["gansweep", "resume", f"{tmp_path}/my runs/it's"]
    assert command("status", "digits") == "`gansweep status digits`"
