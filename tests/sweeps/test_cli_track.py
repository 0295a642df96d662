"""Trials get into trackers by a command."""

import sys

import pytest

pytest.importorskip("tensorboard")


def test_trials_are_added_once(run, small_sweep, tmp_path):
    command = ("track", str(small_sweep), "--to", "tensorboard", "--out", str(tmp_path / "tb"))
    code, out, err = run(*command)
    assert (code, out, err) == (0, "small: 6 trials added to tensorboard; it has 6\n", "")
    assert len(list(tmp_path.glob("tb/small/trial-*/*tfevents*"))) == 6
    code, out, _ = run(*command)
    assert (code, out) == (0, "small: 0 trials added to tensorboard; it has 6\n")


def test_watching_ends_when_the_sweep_is_done(run, small_sweep, tmp_path):
    code, out, _ = run(
        "track", str(small_sweep), "--to", "tensorboard", "--out", str(tmp_path), "--watch"
    )
    assert code == 0
    assert out.count("\n") == 1


def test_mistakes_are_one_line(run, small_sweep, tmp_path, monkeypatch):
    code, _, err = run("track", str(small_sweep), "--to", "notebook")
    assert code == 2
    assert "notebook" in err
    assert len(err.splitlines()) == 1
    (tmp_path / "file").touch()
    code, _, err = run(
        "track", str(small_sweep), "--to", "tensorboard", "--out", str(tmp_path / "file")
    )
    assert code == 1
    assert err.startswith("gansweep: cannot write")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    code, _, err = run("track", str(small_sweep), "--to", "mlflow")
    assert code == 1
    assert err == 'gansweep: MLflow is not installed: pip install "gansweep[mlflow]"\n'
