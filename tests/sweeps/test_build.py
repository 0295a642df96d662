import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps.build
from sweeps.build import this_build
from sweeps.import_path import PACKAGES

HOME = Path(sweeps.build.__file__).parents[1]


def test_a_process_differs_from_itself_in_nothing():
    assert this_build() == this_build()
    assert this_build().difference(this_build()) is None


@pytest.mark.parametrize("field", ["gansweep", "torch", "python"])
def test_what_differs_is_named_on_both_sides(field):
    here = this_build()
    there = dataclasses.replace(here, **{field: "0.0.1"})
    expected = f"{field} is 0.0.1 there and {getattr(here, field)} here"
    assert there.difference(here) == expected


def build_of(home):
    program = "from sweeps.build import this_build; print(this_build().gansweep)"
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=400, check=True)
    return ran.stdout


def test_a_changed_line_of_code_is_another_build_and_a_compiled_file_is_not(tmp_path):
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HOME / package, tmp_path / package, ignore=ignored)
    before = build_of(tmp_path)  # which leaves compiled files
    (tmp_path / "gan_core" / "kernels" / "_kernels.of-another-compiler.so").write_bytes(b"other")
    assert build_of(tmp_path) == before
    with (tmp_path / "gan_core" / "config.py").open("a") as file:
        file.write("# another line\n")
    assert build_of(tmp_path) != before


def test_a_build_is_told_without_torch_and_ray():
    program = """
import sys
from sweeps.build import this_build
assert this_build().torch
assert not {"torch", "ray"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=HOME, check=True, timeout=400)
