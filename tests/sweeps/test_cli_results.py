"""What a sweep left is shown, also while it runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import analysis.report
from sweeps.lock import SweepLock

HOME = Path(__file__).resolve().parents[2]


def test_status_shows_one_sweep_or_all(run, begun_sweep):
    begun_sweep()
    begun_sweep("other")
    code, out, _ = run("status", "digits")
    assert code == 0
    assert "digits: 1 of 2 trials ended" in out
    assert re.search(r"^ +0 +1\.5 +0\.001 .* hinge ", out, flags=re.MULTILINE)
    code, every, _ = run("status")
    assert code == 0
    assert every.startswith(out)
    assert "other: 1 of 2 trials ended" in every
    assert "other" not in out


def test_a_damaged_sweep_is_one_line_and_hides_no_other(run, begun_sweep):
    directory = begun_sweep()
    begun_sweep("other")
    begun_sweep("third")
    (part,) = directory.glob("trials/*.parquet")
    part.write_bytes(part.read_bytes()[:200])
    (directory.parent / "other" / "sweep.toml").write_text("[")
    code, out, err = run("status")
    assert code == 1
    assert "third: 1 of 2 trials ended" in out
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["digits", "other"]
    assert part.name in err
    code, _, err = run("status", "digits")
    assert code == 1
    assert part.name in err
    assert len(err.splitlines()) == 1


def test_status_of_a_sweep_that_confirms_shows_what_came_of_it(run, begun_sweep):
    begun_sweep("digits")
    begun_sweep("again", "search.confirms={sweep='digits', trials=[0, 5]}", "search.seed=1")
    code, out, _ = run("status", "again")
    assert code == 0
    assert "Trials of digits on fresh seeds, by frechet_distance" in out
    assert "Best trials" not in out


def test_where_the_confirmed_sweep_is_gone_the_trials_are_shown_as_any(run, begun_sweep):
    begun_sweep("again", "search.confirms={sweep='digits', trials=[0, 5]}")
    code, out, _ = run("status", "again")
    assert code == 0
    assert "Best trials by frechet_distance" in out


@pytest.fixture
def written(monkeypatch):
    """Reports that take no time: each call's (path of the sweep, out, refresh_s).

    What is put into `meanwhile` is called in the course of each in turn.
    """

    class Calls(list):
        meanwhile = ()

    calls = Calls()

    def write_report(sweep, out=None, *, refresh_s=None):
        calls.append((sweep.path, out, refresh_s))
        path = Path(out or f"{sweep.path}/report.html")
        path.write_text("page")
        if len(calls) <= len(calls.meanwhile):
            calls.meanwhile[len(calls) - 1]()
        return path

    monkeypatch.setattr(analysis.report, "write_report", write_report)
    return calls


def test_a_report_is_written_once_and_its_place_printed(run, begun_sweep, written, tmp_path):
    directory = begun_sweep()
    assert run("report", "digits") == (0, f"{directory}/report.html\n", "")
    assert run("report", "digits", "--out", "page.html") == (0, "page.html\n", "")
    assert written == [(str(directory), None, None), (str(directory), Path("page.html"), None)]


def test_a_place_that_cannot_be_written_to_is_refused(run, begun_sweep, written):
    begun_sweep()
    code, out, err = run("report", "digits", "--out", "no/such/page.html")
    assert (code, out) == (2, "")
    assert '--out = "no/such/page.html": cannot be written: No such file or directory' in err


def test_a_watch_ends_with_a_page_that_rests_once_the_sweep_is_done(run, begun_sweep, written):
    begun_sweep("digits", "search.trials=1")
    assert run("report", "digits", "--watch")[0] == 0
    assert [refresh for _, _, refresh in written] == [None]


def test_a_watch_waits_for_the_last_word_of_a_run(run, begun_sweep, written):
    directory = begun_sweep("digits", "search.trials=1")
    lock = SweepLock(directory)
    written.meanwhile = [lambda: lock.__exit__(None, None, None)]
    lock.__enter__()
    assert run("report", "digits", "--watch", "--every", "1")[0] == 0
    assert [refresh for _, _, refresh in written] == [1, None]


def test_a_watch_goes_on_until_ctrl_c_while_trials_are_left(run, begun_sweep, written):
    directory = begun_sweep()

    def extend():
        os.utime(directory / "sweep.toml")

    def interrupt():
        raise KeyboardInterrupt

    written.meanwhile = [extend, interrupt]
    code, out, err = run("report", "digits", "--watch", "--every", "1")
    assert (code, out, err) == (0, f"{directory}/report.html\n", "")
    assert [refresh for _, _, refresh in written] == [1, 1]


def test_ctrl_c_without_a_watch_is_an_interruption(run, begun_sweep, written):
    begun_sweep()

    def interrupt():
        raise KeyboardInterrupt

    written.meanwhile = [interrupt]
    assert run("report", "digits")[0] == 130


def test_figures_are_written_beside_the_page(run, begun_sweep, written, monkeypatch, tmp_path):
    begun_sweep()
    asked = []
    monkeypatch.setattr(analysis.report, "write_figures", lambda *given: asked.append(given))
    assert run("report", "digits", "--figures", "figures")[0] == 0
    ((sweep, folder),) = asked
    assert (sweep.path, folder) == (written[0][0], Path("figures"))

    def refuse(*_):
        raise NotADirectoryError(20, "Not a directory")

    monkeypatch.setattr(analysis.report, "write_figures", refuse)
    code, _, err = run("report", "digits", "--figures", "sweep.toml/x")
    assert code == 2
    assert '--figures = "sweep.toml/x": cannot be written: Not a directory' in err


@pytest.mark.slow  # two real pages
def test_a_real_watch_follows_a_sweep_and_is_ended_by_ctrl_c(small_sweep, tmp_path):
    directory = shutil.copytree(small_sweep, tmp_path / "runs" / "digits")
    config = directory / "sweep.toml"
    config.write_text(config.read_text().replace("trials = 6", "trials = 7"))
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeps", "report", "digits", "--watch", "--every", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        page = directory / "report.html"
        first = appearance(page, None)
        os.utime(config)
        assert appearance(page, first) != first
        out, err = interrupted(process)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, f"{page}\n", "")
    assert "<html" in page.read_text()


def interrupted(process, limit_s=300):
    """Python loses a KeyboardInterrupt that is raised in a destructor: a person tries again."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("the watch did not end")


def appearance(page, before, limit_s=150):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if page.exists() and page.stat().st_mtime_ns != before:
            return page.stat().st_mtime_ns
        time.sleep(0.05)
    raise AssertionError("no page appeared")
