"""What a container allows counts, not what the host has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sweeps.machine import cores_allowed, memory_allowed, this_machine


@pytest.fixture
def group(tmp_path):
    """Makes control groups: limits by file name, of a group by its path from the root."""
    own_group = tmp_path / "self"
    own_group.write_text("0::/\n")

    def make(path="", *, own=None, **limits):
        folder = tmp_path / "groups" / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in limits.items():
            (folder / name.replace("_", ".")).write_text(f"{text}\n")
        if own is not None:
            own_group.write_text(f"12:cpu:/old\n0::{own}\n")
        return tmp_path / "groups", own_group

    return make


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("400000 100000", 4),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("20000 10000", 2),
        ("", 8),
        ("odd", 8),
    ],
)
def test_whole_cores_of_a_quota_count_and_never_more_than_there_are(group, quota, cores):
    assert cores_allowed(8, *group(cpu_max=quota)) == cores


@pytest.mark.parametrize(("limit", "allowed"), [("max", 2**34), ("1024", 1024), (2**40, 2**34)])
def test_the_lesser_of_memory_and_limit_counts(group, limit, allowed):
    assert memory_allowed(2**34, *group(memory_max=limit)) == allowed


def test_the_narrowest_of_a_group_and_those_above_it_counts(group):
    group(cpu_max="600000 100000", memory_max="5000")
    group("jobs", cpu_max="300000 100000", memory_max="max")
    places = group("jobs/mine", cpu_max="max 100000", memory_max="7000", own="/jobs/mine")
    assert cores_allowed(8, *places) == 3
    assert memory_allowed(2**34, *places) == 5000


def test_a_group_named_from_outside_of_the_container_falls_back_to_its_root(group):
    places = group(cpu_max="200000 100000", own="/docker/0123456789ab")
    assert cores_allowed(8, *places) == 2


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert cores_allowed(8, tmp_path / "none", tmp_path / "nothing") == 8
    assert memory_allowed(2**34, tmp_path / "none", tmp_path / "nothing") == 2**34


def test_this_machine_has_a_core_and_memory():
    machine = this_machine("cpu")
    assert 1 <= machine.cores <= os.cpu_count()
    assert machine.memory_bytes > 2**26
    assert machine.cuda_devices == 0


def asked_torch(nvidia, other):
    program = f"""
import sys
from pathlib import Path
import sweeps.machine
sweeps.machine._NVIDIA, sweeps.machine._DEVICES = {nvidia!r}, [Path({str(other)!r})]
sweeps.machine.this_machine("auto")
print("torch" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=True).stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asked elsewhere in any case")
def test_torch_is_asked_for_devices_only_where_one_has_a_driver(tmp_path):
    assert asked_torch("libnothing.so.1", tmp_path / "none") == "False\n"
    assert asked_torch("libnothing.so.1", tmp_path) == "True\n"
    assert asked_torch("libc.so.6", tmp_path / "none") == "True\n"
