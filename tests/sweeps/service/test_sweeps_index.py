import json
import threading
import time

from sweeps.lock import SweepLock

SMALL = {"search": {"trials": 2}, "space": {"lr_g": {"low": 1e-4, "high": 1e-2}, "lr_d": 1e-3}}


def test_sweeps_come_and_go_with_their_directories(serve, shelf, begun_sweep):
    service = serve(shelf)
    assert service.get("/api/sweeps") == {"sweeps": [], "ray": ""}
    directory = begun_sweep("digits")
    assert until_listed(service, ["digits"])[0]["share"] == 0.5
    directory.rename(directory.with_name("renamed"))
    until_listed(service, ["renamed"])


def until_listed(service, names):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        sweeps = service.get("/api/sweeps")["sweeps"]
        if [sweep["name"] for sweep in sweeps] == names:
            return sweeps
        time.sleep(0.05)
    raise AssertionError(sweeps)


def test_another_service_finds_all_again(serve, shelf, begun_sweep):
    begun_sweep("digits")
    first = serve(shelf)
    first.post("/api/sweeps", SMALL | {"name": "first"})
    second = serve(shelf)
    assert second.get("/api/sweeps") == first.get("/api/sweeps")
    assert [s["name"] for s in second.get("/api/sweeps")["sweeps"]] == ["first", "digits"]


def test_what_lies_beside_sweeps_is_none(serve, begun_sweep):
    begun_sweep("digits")
    service = serve()
    for name in (".hidden", "Upper", "with space"):
        (service.storage / name).mkdir()
        (service.storage / name / "sweep.toml").write_text("")
    (service.storage / "file").write_text("")
    (service.storage / "empty").mkdir()
    assert [s["name"] for s in service.get("/api/sweeps")["sweeps"]] == ["digits"]


def test_jobs_of_another_storage_are_not_shown(serve, shelf, tmp_path):
    first = serve(shelf)
    first.post("/api/sweeps", SMALL | {"name": "first"})
    other = serve(shelf, storage=tmp_path / "other")
    assert other.get("/api/sweeps")["sweeps"] == []


def test_a_damaged_sweep_hides_no_other_and_says_what_is_damaged(serve, begun_sweep):
    begun_sweep("digits")
    (begun_sweep("hurt") / "trials" / "w0-1.parquet").write_bytes(b"no")
    service = serve()
    shown = {s["name"]: s for s in service.get("/api/sweeps")["sweeps"]}
    assert shown["digits"]["state"] == "stopped"
    assert shown["hurt"]["state"] == "unreadable"
    assert "trials/w0-1.parquet" in shown["hurt"]["message"]
    status, _, content = service.ask("GET", "/api/sweeps/hurt/tables/trials")
    assert status == 409
    error = json.loads(content)["error"]
    assert "hurt/trials/w0-1.parquet" in error
    assert str(service.storage) not in error


def test_a_sweep_that_runs_is_seen_by_its_lock(serve, begun_sweep):
    directory = begun_sweep("digits")
    service = serve()
    with SweepLock(directory):
        service.until("digits", state="running")
    service.until("digits", state="stopped")


def test_without_ray_sweeps_are_shown_and_why_jobs_are_not(serve, shelf, begun_sweep):
    begun_sweep("digits")

    def broken():
        raise RuntimeError("the cluster\nis away")

    shelf.jobs = broken
    service = serve(shelf)
    answer = service.get("/api/sweeps")
    assert answer["ray"] == "the cluster is away"
    assert [s["name"] for s in answer["sweeps"]] == ["digits"]


def test_a_cluster_that_does_not_answer_holds_nobody_up(serve, shelf, begun_sweep):
    begun_sweep("digits")
    answers = threading.Event()

    def late():
        answers.wait(60)
        return []

    shelf.jobs = late
    service = serve(shelf)
    shown = service.get("/api/sweeps")
    assert shown["ray"] == "Ray has not answered yet"
    assert [s["name"] for s in shown["sweeps"]] == ["digits"]
    assert service.get("/api/sweeps/digits")["state"] == "stopped"
    answers.set()
    end = time.monotonic() + 60
    while service.get("/api/sweeps")["ray"]:
        assert time.monotonic() < end
        time.sleep(0.05)
