"""Jobs without a cluster; a real one is in test_cluster."""

import contextlib
from types import SimpleNamespace

import pytest

from gan_core.config import ConfigError
from sweeps import jobs as module
from sweeps.cli_cluster import logs, show_job
from sweeps.config_file import load_config, to_toml
from sweeps.jobs import Jobs, _without_secrets, jobs_at
from sweeps.naming import CONFIG_NAME


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


class Ray:
    """Keeps jobs as Ray does, under ids that may not be there twice."""

    def __init__(self):
        self.known = {}

    def list_jobs(self):
        return [*self.known.values()]

    def submit_job(self, *, submission_id, metadata, **job):
        if submission_id in self.known:
            raise RuntimeError(f"Job with submission_id {submission_id} already exists.")
        self.add(submission_id, "RUNNING", metadata)

    def add(self, submission_id, status, metadata):
        self.known[submission_id] = SimpleNamespace(
            submission_id=submission_id, status=status, metadata=metadata, message="",
            start_time=1000 * len(self.known), end_time=None,
        )  # fmt: skip

    def end(self, submission_id, status):
        self.known[submission_id].status = status

    def delete_job(self, submission_id):
        del self.known[submission_id]

    def get_job_logs(self, submission_id):
        return f"{submission_id} printed this"

    def stop_job(self, submission_id):
        self.end(submission_id, "STOPPED")

    async def tail_job_logs(self, submission_id):
        yield f"{submission_id} printed this"


@pytest.fixture
def ray():
    return Ray()


@pytest.fixture
def submit(ray, tmp_path):
    """Submits a sweep with so many trials: (name, trials) -> (job, whether it was begun)."""

    def call(name="digits", trials=2):
        config = load_config(None, [f"search.trials={trials}"]).model_copy(update={"name": name})
        (tmp_path / CONFIG_NAME).write_text(to_toml(config))
        return Jobs(ray).submit(config, tmp_path)

    return call


def test_submitting_twice_begins_nothing_twice(ray, submit):
    assert (submit()[1], submit()[1]) == (True, False)
    ray.end("digits", "SUCCEEDED")
    assert submit()[1] is False
    assert [*ray.known] == ["digits"]
    ray.known["digits"].status = "RUNNING"
    with pytest.raises(ConfigError, match="runs there with another config"):
        submit(trials=3)


@pytest.mark.parametrize("status", ["STOPPED", "FAILED", "SUCCEEDED"])
def test_a_job_that_goes_on_takes_an_id_that_ray_does_not_look_after_any_more(ray, submit, status):
    submit()
    ray.add("digits~2", "FAILED", None)  # as Ray leaves where a record was removed too early
    ray.end("digits", status)
    job, is_new = submit(trials=3)
    assert (job.name, job.id, job.status, is_new) == ("digits", "digits~3", "RUNNING", True)
    assert submit(trials=3) == (job, False)
    jobs = Jobs(ray)
    assert jobs.all() == [job]
    assert jobs.job("digits") == job
    assert jobs.logs("digits") == "digits~3 printed this"
    jobs.request_stop("digits")
    assert jobs.job("digits").status == "STOPPED"
    assert ray.known["digits"].status == status


def test_the_tenth_job_comes_after_the_ninth_and_other_sweeps_do_not_count(ray, submit):
    submit("digits-2")
    for number in range(1, 11):
        job, _ = submit(trials=number)
        assert job.id == ("digits" if number == 1 else f"digits~{number}")
        ray.end(job.id, "STOPPED")
    assert [job.id for job in Jobs(ray).all()] == ["digits~10", "digits-2"]


def test_a_sweep_is_forgotten_with_all_its_jobs(ray, submit):
    jobs = Jobs(ray)
    submit("other")
    submit()
    jobs.request_stop("digits")
    submit()
    jobs.forget("digits")
    assert [*ray.known] == ["other", "digits~2"]
    jobs.request_stop("digits")
    jobs.forget("digits")
    jobs.forget("digits")
    assert [*ray.known] == ["other"]


@pytest.mark.parametrize("ask", [show_job, lambda name, at: logs(name, at, follow=True)])
def test_why_a_job_failed_is_said_by_what_shows_it(ray, submit, monkeypatch, capsys, ask):
    monkeypatch.setattr(module, "jobs_at", lambda address: contextlib.nullcontext(Jobs(ray)))
    submit()
    ray.end("digits", "SUCCEEDED")
    assert ask("digits", "http://head:8265") == 0
    assert capsys.readouterr().err == ""
    ray.end("digits", "FAILED")
    ray.known["digits"].message = "Job supervisor actor died:\n\tits node was lost.\n"
    assert ask("digits", "http://head:8265") == 1
    told = capsys.readouterr()
    assert "digits printed this" in told.out
    assert told.err == "gansweep: digits failed: its node was lost.\n"
    ray.known["digits"].message = ""
    assert ask("digits", "http://head:8265") == 1
    assert capsys.readouterr().err == "gansweep: digits failed: its job failed\n"
