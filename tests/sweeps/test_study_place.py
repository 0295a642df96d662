import json

import pytest

from gan_core.config import ConfigError
from sweeps.study_place import DatabaseStudy, study_name, study_place
from sweeps.study_url import parse_study

URL = parse_study("postgresql://u:geheim@h/db")


def place(study, directory, location="/runs/a"):
    directory.mkdir(exist_ok=True)
    return study_place(study, directory / "study.journal", name="digits", location=location)


def test_a_journal_is_where_it_is(tmp_path):
    assert place("journal", tmp_path) == tmp_path / "study.journal"
    assert study_name(tmp_path / "study.journal") == "gansweep"
    assert list(tmp_path.iterdir()) == []


def test_a_study_in_a_database_has_a_name_of_its_own_that_goes_with_its_directory(tmp_path):
    first = place(URL, tmp_path / "a")
    other = place(URL, tmp_path / "b", location="/runs/b")
    assert first.name.startswith("digits-")
    assert first.name != other.name
    (tmp_path / "a").rename(tmp_path / "moved")
    assert place(URL, tmp_path / "moved", location="/elsewhere") == first
    assert "geheim" not in (tmp_path / "moved" / "study.json").read_text()
    assert "geheim" not in repr(first)


def test_the_environment_of_the_driver_goes_along_unseen(tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "geheim")
    found = place(URL, tmp_path)
    assert isinstance(found, DatabaseStudy)
    assert found.variables["PGPASSWORD"] == "geheim"
    assert "geheim" not in repr(found)


def test_a_study_does_not_change_its_kind_of_place(tmp_path):
    place(URL, tmp_path / "a")
    with pytest.raises(ConfigError, match=r'must be "postgresql://u@h/db"'):
        place("journal", tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "study.journal").write_text("")
    with pytest.raises(ConfigError, match='its study is in its journal: must be "journal"'):
        place(URL, tmp_path / "b")
    assert json.loads((tmp_path / "a" / "study.json").read_text())["url"] == "postgresql://u@h/db"
