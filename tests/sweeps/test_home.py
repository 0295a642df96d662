from pathlib import Path

from sweeps.home import home_of


def test_a_home_is_named_after_the_sweep_and_its_place(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    home = home_of("s3://bucket/runs/digits")
    assert home.parent == tmp_path / "gansweep"
    assert home.name.startswith("digits-")
    assert len(home.name) == len("digits-") + 8
    assert not home.exists()


def test_another_place_has_another_home_and_other_credentials_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    homes = [
        home_of(f"s3://{place}")
        for place in ("b/digits", "c/digits", "b/a/digits", "b/digits?endpoint_override=h:1")
    ]
    assert len(set(homes)) == 4
    assert home_of("s3://key:secret@b/digits?session=x") == homes[0]


def test_without_the_variable_or_with_a_relative_one_it_is_under_the_users_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert home_of("s3://b/digits").parent == Path("/home/me/.local/state/gansweep")
