import pytest

from gan_core.config import ConfigError
from sweeps.uri import (
    as_location,
    check_storage,
    child,
    is_uri,
    last_part,
    parent,
    secrets_of,
    shown,
    without_secrets,
)

SECRET = "s3://AKIA:s%2Fcret@bucket/a/b?region=eu-west-1&endpoint_override=http://h:9000&token=t0p"


def test_a_place_is_put_together_and_taken_apart():
    sweep = child("s3://bucket/a/?region=x", "digits")
    assert sweep == "s3://bucket/a/digits?region=x"
    assert (parent(sweep), last_part(sweep)) == ("s3://bucket/a?region=x", "digits")
    assert child("s3://bucket", "digits") == "s3://bucket/digits"
    assert parent("s3://bucket/digits") == "s3://bucket"


def test_so_is_a_local_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert child("runs", "digits") == f"{tmp_path}/runs/digits"
    assert child("~/runs", "digits") == "/home/me/runs/digits"
    assert (parent("/a/digits"), last_part("/a/digits")) == ("/a", "digits")
    assert (shown("/a"), without_secrets("/a"), secrets_of("/a")) == ("/a", "/a", set())


@pytest.mark.parametrize("uri", ["file:///a/b", "file:///a/b/"])
def test_a_uri_of_a_file_is_its_path(uri):
    assert as_location(uri).rstrip("/") == "/a/b"
    assert not is_uri(as_location(uri))
    assert check_storage(uri).rstrip("/") == "/a/b"
    assert child(uri, "digits") == "/a/b/digits"


def test_no_secret_is_shown_and_what_is_none_is_kept_where_it_is_needed():
    assert shown(SECRET) == "s3://bucket/a/b"
    kept = "s3://bucket/a/b?region=eu-west-1&endpoint_override=http://h:9000"
    assert without_secrets(SECRET) == kept
    assert without_secrets("s3://b/a?endpoint_override=http://u:p@h") == "s3://b/a"
    assert secrets_of(SECRET) == {"AKIA", "s%2Fcret", "s/cret", "t0p"}


@pytest.mark.parametrize(
    "given", ["runs", "~/runs", "s3://bucket", "s3://bucket/a/b/", "gs://b/a", SECRET]
)
def test_a_directory_and_a_uri_can_be_a_storage(given):
    assert check_storage(given) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "s3://",
        "s3:///a",
        "s3://b/..",
        "s3://b/../a",
        "s3://b/a/./c",
        "s3://b//a",
        "s3://b/%2e%2e/a",
        "s3://b/%2E%2e",
        "s3://b/%252e%252e/a",
        "s3://b/a%2f..%2fc",
        "s3://../a",
        "s3://b/a\\..\\c",
        "s3://b/a%5cb",
        "s3://b/a%00",
        "s3://b/a\nb",
        "1s3://b/a",
    ],
)
def test_what_could_lead_out_of_a_storage_is_none(given):
    with pytest.raises(ConfigError, match="must"):
        check_storage(given)


def test_a_refusal_holds_no_secret():
    with pytest.raises(ConfigError) as refused:
        check_storage("s3://AKIA:s3cret@bucket/../a?token=t0p")
    assert not {"AKIA", "s3cret", "t0p"} & {*str(refused.value).replace("/", " ").split()}
    assert "s3cret" not in str(refused.value)
