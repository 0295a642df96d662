"""Jobs without a cluster; a real one is in test_cluster."""

import pytest

from gan_core.config import ConfigError
from sweeps.jobs import _without_secrets, jobs_at


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "http://user:word@head:8265", ""])
def test_an_address_of_jobs_is_a_url_without_credentials(address):
    with (
        pytest.raises(ConfigError, match="must be the URL of a cluster's dashboard"),
        jobs_at(address),
    ):
        pass


def test_where_no_dashboard_is_it_is_said_in_one_line():
    pytest.importorskip("aiohttp")
    refused = pytest.raises(ConfigError, match="no Ray dashboard answers there")
    with refused as error, jobs_at("http://127.0.0.1:9"):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ("/mnt/sweeps", "/mnt/sweeps"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("s3://key:secret@bucket/prefix?access_key=a&secret_key=b", "s3://bucket/prefix"),
    ],
)
def test_a_jobs_metadata_hold_no_credentials(storage, told):
    assert _without_secrets(storage) == told
