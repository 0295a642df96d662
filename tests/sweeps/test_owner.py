"""On a real Ray: an owner is found by its name and replaced, and two never live at a time."""

import time

import pytest
import ray
from ray.exceptions import RayActorError

from sweeps.config_file import load_config
from sweeps.embedded import embedded_ray
from sweeps.owner import end_owner, own_study, owner_name
from sweeps.plan import Plan
from sweeps.ray_driver import NAMESPACE

PLAN = Plan(
    workers=1,
    slots=4,
    device="cpu",
    gpus=0,
    max_in_flight=2,
    estimated_bytes_per_worker=None,
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with embedded_ray(cpus=1, gpus=0, log_dir=tmp_path_factory.mktemp("logs")):
        yield


def test_sweeps_of_the_same_name_in_two_places_have_owners_of_their_own(tmp_path):
    names = {owner_name(tmp_path / place / "digits") for place in ("a", "b")}
    assert len(names) == 2
    assert all(name.startswith("study-digits-") for name in names)


@pytest.mark.slow  # begins a Ray and three owners, each of which imports optuna
def test_a_second_owner_replaces_the_first_and_goes_on_with_its_journal(cluster, tmp_path):
    journal = tmp_path / "digits" / "study.journal"
    config = load_config(None)
    first = own_study(config, PLAN, journal)
    given = ray.get(first.exchange.remote("w", (), (), (), 2)).refills
    assert [a.trial for a in given] == [0, 1]
    second = own_study(config, PLAN, journal)
    assert ray.get(second.status.remote()).running == 2
    with pytest.raises(RayActorError):
        ray.get(first.status.remote())
    again = ray.get(second.exchange.remote("w", (), (), (), 2)).refills
    assert [(a.trial, a.attempt) for a in again] == [(0, 1), (1, 1)]

    end_owner(second)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            ray.get_actor(owner_name(journal.parent), namespace=NAMESPACE)
        except ValueError:
            return
        time.sleep(0.1)
    raise AssertionError("the owner lives on")
