from sweeps.ray_driver import worker_environment


def test_a_thread_count_of_the_users_own_stands(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert worker_environment()["env_vars"]["OMP_NUM_THREADS"] == "4"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert worker_environment()["env_vars"]["OMP_NUM_THREADS"] == "1"
