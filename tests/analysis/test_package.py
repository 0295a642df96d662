import subprocess
import sys

import pytest

import analysis

MODULES = ("analysis", "analysis.compare", "analysis.load", "analysis.verdict")


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_torch_ray_or_optuna_is_imported(module):
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    assert not {"torch", "ray", "optuna", "gan_core", "sweeps"} & set(run(code))


def test_importing_the_package_does_not_import_pandas():
    assert "pandas" not in run("import sys, analysis.schema; print(*sys.modules)")


@pytest.mark.parametrize("before", ["analysis", "analysis.load", "analysis.verdict"])
def test_load_and_judge_are_functions_whatever_was_imported_before(before):
    code = f"import {before}, analysis; print(*(type(f).__name__ for f in "
    assert run(f"{code}(analysis.load, analysis.judge)))") == ["function"] * 2


def test_all_is_what_the_package_has():
    assert {"judge", "leaderboard", "load", "write_report"} <= set(analysis.__all__)
    assert set(analysis.__all__) <= set(dir(analysis))
    assert all(callable(getattr(analysis, name)) for name in analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = analysis.nothing
