import os
import stat

import pytest

from analysis.load import load
from analysis.report import write
from analysis.report.figures import write_figures
from analysis.report.write import write_report


@pytest.fixture
def short(monkeypatch):
    """Pages of a few words: what is tested is how they come to be files."""
    monkeypatch.setattr(write, "gather", lambda sweep: sweep)
    monkeypatch.setattr(
        write, "render", lambda sweep, **how: f"<p>{sweep.config} {how['refresh_s']}"
    )


def test_the_report_lies_in_the_sweep_s_directory_or_where_it_is_asked_to(writer, short, tmp_path):
    assert write_report(writer.path) == writer.path / "report.html"
    other = write_report(writer.load(), tmp_path / "new" / "page.html", refresh_s=5)
    assert other == tmp_path / "new" / "page.html"
    assert "digits" in other.read_text()
    assert other.read_text().endswith(" 5")
    assert [file.name for file in other.parent.iterdir()] == ["page.html"]


def test_a_page_is_replaced_whole_or_not_at_all(writer, short, monkeypatch):
    file = write_report(writer.path)
    before = file.read_text()

    def torn(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", torn)
    with pytest.raises(OSError, match="disk full"):
        write_report(writer.path, refresh_s=9)
    assert file.read_text() == before
    assert sorted(p.name for p in writer.path.iterdir()) == ["report.html", "sweep.toml"]


def test_others_may_read_it_as_any_file(writer, short):
    before = os.umask(0o022)
    try:
        mode = stat.S_IMODE(write_report(writer.path).stat().st_mode)
    finally:
        os.umask(before)
    assert mode == 0o644


def test_a_sweep_at_a_uri_has_its_report_there(writer, short):
    uri = writer.path.as_uri()
    assert write_report(uri) == f"{uri}/report.html"
    assert (writer.path / "report.html").read_text().startswith("<p>")


def test_a_refresh_takes_a_time(writer):
    with pytest.raises(ValueError, match="refresh_s = 0: must be > 0, or None for never"):
        write_report(writer.path, refresh_s=0)


def test_what_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing: no such directory"):
        write_report(tmp_path / "nothing")


def test_several_sweeps_are_refused_in_plain_words(writer, tmp_path):
    other = type(writer)(tmp_path / "other")
    other.config('name = "other"\n')
    paths = [writer.path, other.path]
    for several in (load(paths), paths):
        for write_it in (write_report, lambda sweeps: write_figures(sweeps, tmp_path)):
            with pytest.raises(ValueError, match=r"^2 sweeps: must be one sweep, or its path; sev"):
                write_it(several)
