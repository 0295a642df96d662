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
