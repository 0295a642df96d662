import pandas as pd
import pytest

import analysis
from gan_core.config import ConfigError
from sweeps.mistakes import SweepFailure
from sweeps.service.client import Client

SMALL = {"search": {"trials": 2}, "space": {"lr_g": {"low": 1e-4, "high": 1e-2}, "lr_d": 1e-3}}


@pytest.fixture
def client(seen):
    return Client(f"{seen.url}/?token={seen.token}")


def test_tables_are_frames_as_analysis_reads_them(client, seen):
    written = analysis.load(seen.storage / "small")
    pd.testing.assert_frame_equal(
        client.trials("small"), written.trials, check_dtype=False, check_exact=True
    )
    columns = ["trial", "seed", "step", "frechet_distance"]
    pd.testing.assert_frame_equal(
        client.history("small", columns), written.history[columns], check_dtype=False
    )
    assert list(client.table("small", "leaderboard")["trial"]) == list(
        analysis.leaderboard(written, 12)["trial"]
    )
    assert client.sweeps()["name"].tolist() == ["small"]
    row = written.samples.iloc[0]
    assert client.grid("small", row["trial"], row["seed"]) == row["png"]


def test_a_fetched_sweep_is_the_sweep(client, tmp_path, seen):
    client.fetch("small", tmp_path)
    there, here = (analysis.load(place) for place in (seen.storage / "small", tmp_path))
    pd.testing.assert_frame_equal(here.trials, there.trials)
    pd.testing.assert_frame_equal(here.samples, there.samples)


def test_events_begin_with_how_it_stands(client):
    kind, state = next(client.events("small"))
    assert (kind, state) == ("status", client.status("small"))


def test_a_sweep_can_be_begun_stopped_extended_and_deleted(serve, shelf):
    running = serve(shelf)
    client = Client(running.url, running.token)
    sweep, is_new = client.submit(SMALL | {"name": "first"})
    assert (sweep["state"], is_new) == ("pending", True)
    assert client.submit(SMALL | {"name": "first"})[1] is False
    assert client.logs("first") == "first printed this\n"
    assert client.stop("first")["state"] == "stopped"
    client.delete("first")
    assert client.sweeps().empty


def test_what_is_refused_is_a_config_error_with_the_services_own_words(client):
    with pytest.raises(ConfigError) as error:
        client.status("absent")
    assert str(error.value) == 'SWEEP = "absent": there is no such sweep'
    with pytest.raises(ConfigError, match="must be 1 to 100"):
        client.status("../x")
    with pytest.raises(SweepFailure, match="--no-ray"):
        client.submit(SMALL)


@pytest.mark.parametrize("url", ["", "localhost:1", "ftp://x/", "http://", "http://u:p@host/"])
def test_an_address_is_a_url_without_a_password(url):
    with pytest.raises(ConfigError, match="must be a URL"):
        Client(url, "t" * 20)


def test_the_token_comes_from_the_link_or_the_environment_and_is_not_shown(monkeypatch):
    monkeypatch.delenv("GANSWEEP_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="needs a token: GANSWEEP_TOKEN must hold it"):
        Client("http://127.0.0.1:1/")
    monkeypatch.setenv("GANSWEEP_TOKEN", "of-the-environment")
    client = Client("http://127.0.0.1:1/a?token=of-the-link")
    assert repr(client) == "Client('http://127.0.0.1:1')"
    with pytest.raises(SweepFailure) as error:
        client.status("x")
    assert "of-the" not in str(error.value)


def test_a_server_that_is_no_service_is_one_line(serve, seen):
    client = Client(seen.url, "wrong-token-0123456789")
    with pytest.raises(ConfigError, match="Authorization: a token of this service must be given"):
        client.status("small")


def test_columns_of_a_frame_can_be_read_without_the_others(client):
    assert list(client.trials("small", ["trial", "loss"])) == ["trial", "loss"]
