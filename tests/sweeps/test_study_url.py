import copy
import pickle

import pytest

from gan_core.config import ConfigError
from sweeps.config_file import load_config, to_toml
from sweeps.study_url import StudyUrl, parse_study, redacted

SECRET = "s3cr/t:p@ss"
ESCAPED = "s3cr%2Ft%3Ap%40ss"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"postgresql://u:{ESCAPED}@h:5432/db", "postgresql://u@h:5432/db"),
        (f"postgresql://u@h/db?sslmode=require&password={ESCAPED}", None),
        (f"postgresql:///db?host=/run/pg&password={ESCAPED}", "postgresql:///db?host=/run/pg"),
        (f"postgresql://u:{ESCAPED}@[::1]/db", "postgresql://u@[::1]/db"),
    ],
)
def test_a_password_is_in_no_text_of_a_url_and_goes_where_it_goes(given, shown):
    url = parse_study(given)
    assert url == (shown or "postgresql://u@h/db?sslmode=require")
    for same in (url, copy.deepcopy(url), pickle.loads(pickle.dumps(url)), parse_study(url)):
        assert same.secrets == {"password": SECRET}
        for text in (str(same), repr(same), f"{same}"):
            assert SECRET not in text
            assert ESCAPED not in text
    assert url.bare() == url
    assert url.bare().secrets == {}


def test_without_a_password_there_is_no_secret():
    assert parse_study("postgresql://u@h/db").secrets == {}
    assert parse_study("journal") == "journal"


@pytest.mark.parametrize(
    "given",
    [
        "postgres://u:geheim@h/db",
        "mysql://u:geheim@h/db",
        "postgresql://u:ge#geheim@h/db",
        "postgresql://u:1/geheim@h/db",
        "postgresql://u:ge?geheim@h/db",
        "postgresql://u:geheim@h:port/db",
        "postgresql:geheim@x",
        ["postgresql://u:geheim@h"],
        {"url": "geheim"},
        5,
        "",
    ],
)
def test_what_is_no_url_is_refused_in_a_line_without_secrets(given):
    with pytest.raises(
        ConfigError, match='must be "journal" or "postgresql://USER@HOST'
    ) as refused:
        parse_study(given)
    if not str(given).startswith("postgresql:geheim"):  # which is no URL of anything
        assert "geheim" not in str(refused.value)


def test_the_config_as_it_is_stored_has_no_password():
    config = load_config(None, [f"study=postgresql://u:{ESCAPED}@h/db"])
    assert isinstance(config.study, StudyUrl)
    assert config.study.secrets == {"password": SECRET}
    for text in (to_toml(config), repr(config), str(config)):
        assert ESCAPED not in text
        assert SECRET not in text
    assert 'study = "postgresql://u@h/db"' in to_toml(config)
    assert load_config(None).study == "journal"


def test_a_wrong_study_is_told_with_its_place():
    with pytest.raises(
        ConfigError, match=r'^--set: study = "mysql://u:\*\*\*@h": must be "journal"'
    ):
        load_config(None, ["study=mysql://u:geheim@h"])


def test_passwords_are_taken_out_of_any_text():
    text = "a postgresql://u:p@ss@h/db?password=x&b=1 and s3://k:geheim@host"
    assert redacted(text) == "a postgresql://u:***@h/db?password=***&b=1 and s3://k:***@host"
    assert redacted("http://127.0.0.1:8265/x") == "http://127.0.0.1:8265/x"


def test_workers_get_a_config_without_the_password():
    config = load_config(None, [f"study=postgresql://u:{ESCAPED}@h/db"])
    bare = config.for_workers()
    assert SECRET.encode() in pickle.dumps(config)
    assert SECRET.encode() not in pickle.dumps(bare)
    assert bare == config
    assert load_config(None).for_workers() == load_config(None)
