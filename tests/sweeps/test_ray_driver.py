from pathlib import Path

import sweeps.ray_driver
from sweeps.ray_driver import logged_to, worker_environment


def test_a_thread_count_of_the_users_own_stands(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert worker_environment()["env_vars"]["OMP_NUM_THREADS"] == "4"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert worker_environment()["env_vars"]["OMP_NUM_THREADS"] == "1"


def test_what_ray_prints_of_a_node_that_died_is_in_the_log_and_not_on_the_terminal(
    tmp_path, capsys
):
    from ray._private import worker

    dump = {"lines": ["Raylet is terminated. ", "[state-dump]"], "pid": "raylet", "is_err": False}
    before = worker.print_to_stdstream
    with logged_to(tmp_path / "driver.log"):
        worker.print_to_stdstream(dump, ignore_prefix=False)  # as Ray's listener calls it
    assert capsys.readouterr() == ("", "")
    assert "Raylet is terminated. \n[state-dump]" in (tmp_path / "driver.log").read_text()
    assert worker.print_to_stdstream is before


def test_whatever_begins_or_joins_a_ray_says_how_to_authenticate():
    begins = {
        path.stem: text
        for path in Path(sweeps.ray_driver.__file__).parent.rglob("*.py")
        if "ray.init(" in (text := path.read_text())
    }
    assert {"embedded", "attached"} <= begins.keys()
    for text in begins.values():
        assert "RAY_AUTH_MODE" in text or "access_variables()" in text
        # One that we begin keeps its dashboard to this machine, if it has any.
        if 'address="local"' in text:
            assert "include_dashboard=False" in text or 'dashboard_host="127.0.0.1"' in text
