import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps.import_path
from sweeps.import_path import PACKAGES, append_user_directory, worker_variables

PACKAGES_HOME = Path(sweeps.import_path.__file__).parents[1]


@pytest.fixture
def user_directory(tmp_path):
    """A user's directory with files of the names of our packages, and a package of their own."""
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('the user\\'s own {name}')\n")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "nets.py").write_text("WIDTH = 7\n")
    return tmp_path


def python(script, directory, **variables):
    """Run a script whose `sys.path` holds no checkout and not the current directory."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=directory,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=400,
    )


def test_a_settled_worker_imports_our_packages_and_the_users(user_directory, monkeypatch):
    monkeypatch.chdir(user_directory)
    # As Ray would do after the worker has been settled: the user's directory at the front.
    script = """
from sweeps.import_path import settle_worker
settle_worker()
import sys
sys.path.insert(0, "")
import analysis.schema, gan_core.config, sweeps.store
from my_package.nets import WIDTH
assert WIDTH == 7
"""
    run = python(script, user_directory, **{"PYTHONPATH": str(PACKAGES_HOME)} | worker_variables())
    assert run.returncode == 0, run.stderr


def test_the_drivers_directories_come_last(user_directory, monkeypatch):
    monkeypatch.chdir(user_directory)
    script = """
import sys
before = list(sys.path)
from sweeps.import_path import settle_worker
settle_worker()
assert sys.path[: len(before)] == before
print(sys.path[-1])
"""
    run = python(script, user_directory, **{"PYTHONPATH": str(PACKAGES_HOME)} | worker_variables())
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()) == user_directory


def test_what_the_driver_added_to_its_path_reaches_the_worker(monkeypatch):
    monkeypatch.syspath_prepend("/only/the/driver")
    paths = json.loads(worker_variables()["GANSWEEP_DRIVER_PATH"])
    assert "/only/the/driver" in paths


def test_a_checkout_is_put_before_the_inherited_pythonpath_and_an_install_is_not(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    monkeypatch.setattr(sweeps.import_path, "_HOME", Path("/checkout"))
    assert worker_variables()["PYTHONPATH"] == f"/checkout{os.pathsep}/theirs"
    monkeypatch.setattr(sweeps.import_path.site, "getsitepackages", lambda: ["/checkout"])
    assert "PYTHONPATH" not in worker_variables()


def test_another_module_of_our_name_that_is_already_imported_is_named(tmp_path):
    (tmp_path / "analysis.py").write_text("")
    script = f"""
import sys
sys.path.insert(0, "")
import analysis
sys.path.append({str(PACKAGES_HOME)!r})
from sweeps.import_path import pin_packages
pin_packages()
"""
    run = python(script, tmp_path)
    last = run.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "analysis.py was imported as 'analysis'" in last
    assert last.endswith("rename that file")


def test_the_users_directory_is_appended_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/first"])
    append_user_directory()
    append_user_directory()
    assert sys.path == ["/first", str(tmp_path)]
