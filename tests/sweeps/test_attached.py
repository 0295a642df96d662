"""Joining a cluster that runs: how it is addressed, with which token, what is said if it fails."""

import subprocess
import sys

import pytest

from gan_core.config import ConfigError
from sweeps.attached import access_variables, check_address, reach


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "head.example:6379", "[::1]:6379"])
def test_an_address_is_auto_or_a_host_and_its_port(address):
    assert check_address(address) == address


@pytest.mark.parametrize("address", ["", "local", "10.0.0.1", "head:port", "10.0.0.1:6379/x"])
def test_anything_else_is_refused(address):
    with pytest.raises(ConfigError, match=r'must be "auto" or HOST:PORT'):
        check_address(address)


@pytest.mark.parametrize("address", ["ray://head:10001", "http://head:8265"])
def test_a_url_is_pointed_to_submit(address):
    with pytest.raises(ConfigError, match="a URL is for `submit`"):
        check_address(address)


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_how_to_authenticate_is_always_said(no_token, monkeypatch):
    assert access_variables() == {"RAY_AUTH_MODE": "disabled"}
    (no_token / ".ray").mkdir()
    (no_token / ".ray" / "auth_token").write_text("secret")
    assert access_variables() == {"RAY_AUTH_MODE": "token"}
    (no_token / ".ray" / "auth_token").unlink()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert access_variables() == {"RAY_AUTH_MODE": "token"}


def test_where_nothing_answers_it_is_said_in_one_line(no_token):
    with pytest.raises(ConfigError, match=r"no Ray cluster answers") as refused:
        reach("127.0.0.1:9")  # discard, which nobody serves
    assert "\n" not in str(refused.value)


def test_a_wrong_address_is_refused_before_anything_heavy_is_imported(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "sweeps", "run", "--address", "nowhere"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith('gansweep: --address = "nowhere": must be')
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert not imported & {"torch", "ray", "optuna", "pandas"}
    assert list(tmp_path.iterdir()) == []
