"""A worker as Tune has it, with an owner in a process of its own."""

import contextlib

import pytest
import ray

import sweeps.trainable
from sweeps.config_file import load_config
from sweeps.owner import end_owner, own_study
from sweeps.plan import Plan
from sweeps.store import Store
from sweeps.trainable import CohortTrainable


@pytest.mark.slow  # an owner in a process of its own
def test_a_worker_for_whom_nothing_is_left_gives_its_device_back(
    cluster, quick, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweeps.trainable, "_IDLE_S", 0.0)
    sweep = load_config(None, [*quick, "search.trials=2"])
    plan = Plan(
        workers=2, slots=4, device="cpu", gpus=0, max_in_flight=2, estimated_bytes_per_worker=None
    )
    owner = own_study(sweep, plan, tmp_path / "study.journal")
    parts = {"sweep": sweep, "store": Store(tmp_path), "owner": owner, "plan": plan}

    def worker(number):
        # As `tune.with_parameters` does.
        made = CohortTrainable.__new__(CohortTrainable)
        made.setup({"worker": number}, **parts)
        ending.callback(made.cleanup)
        return made

    with contextlib.ExitStack() as ending:
        ending.callback(end_owner, owner)
        assert len(ray.get(owner.exchange.remote("worker-1", (), (), (), 1)).refills) == 1
        late = worker(0)
        monkeypatch.setattr(sweeps.trainable, "_IDLE_END_S", 0.0)
        assert not late.step()["done"]  # it was given the other trial
        assert ray.get(owner.status.remote()).running == 2
        assert worker(2).step()["done"]
        monkeypatch.setattr(sweeps.trainable, "_IDLE_END_S", 60.0)
        assert not worker(3).step()["done"]
