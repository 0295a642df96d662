"""Jobs without a cluster; a real one is in test_cluster."""

import pytest

from gan_core.config import ConfigError
from sweeps import jobs as module
from sweeps.jobs import Jobs, _without_secrets, jobs_at


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


class Unready:
    """Answers as Ray's dashboard does in the seconds before its agent is there."""

    def __init__(self, refusals, words="No available agent to submit job, please try again later."):
        self.refusals, self.words, self.taken = refusals, words, []

    def submit_job(self, **job):
        if self.refusals:
            self.refusals -= 1
            raise RuntimeError(f"Request failed with status code 500: {self.words}.")
        self.taken.append(job)


def test_a_head_that_has_just_begun_is_waited_for(monkeypatch):
    monkeypatch.setattr(module, "_POLL_S", 0.0)
    client = Unready(2)
    Jobs(client)._submitted(submission_id="digits")
    assert client.taken == [{"submission_id": "digits"}]


def test_another_refusal_is_not_asked_again(monkeypatch):
    client = Unready(1, "no such package")
    with pytest.raises(RuntimeError, match="no such package"):
        Jobs(client)._submitted(submission_id="digits")
    assert client.taken == []
    monkeypatch.setattr(module, "_AGENT_WITHIN_S", -1.0)
    with pytest.raises(RuntimeError, match="No available agent"):
        Jobs(Unready(1))._submitted(submission_id="digits")
