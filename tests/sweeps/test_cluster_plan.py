import pytest

from gan_core.config import ConfigError
from sweeps.cluster_plan import ClusterPlan, cluster_plan, gpu_share, slots_here, trainers
from sweeps.config_file import load_config
from sweeps.machine import Machine
from sweeps.nodes import Node
from sweeps.plan import Plan, estimate_member_bytes

GIB = 2**30


def node(name, cpus=8, gpus=0, gpu_gib=0.0, gib=64.0):
    machine = Machine(
        cores=cpus,
        memory_bytes=int(gib * GIB),
        cuda_devices=gpus,
        cuda_bytes=int(gpu_gib * GIB),
    )
    return Node(id=name, address=name, host="", cpus=cpus, gpus=float(gpus), machine=machine)


def planned(nodes, *changes, trials=64):
    config = load_config(None, [f"search.trials={trials}", *changes])
    return cluster_plan(config, trainers(config, nodes))


def test_there_is_a_worker_for_each_gpu_and_none_on_nodes_without():
    result = planned([node("a", gpus=2, gpu_gib=80), node("b", gpus=1, gpu_gib=80), node("c")])
    assert (result.workers, result.device, result.gpus) == (3, "cuda", 3)
    assert result.gpu_share == 1
    assert result.cpu_workers == 0


def test_without_any_gpu_there_is_a_worker_for_each_core():
    result = planned([node("a", cpus=4), node("b", cpus=2)])
    assert (result.workers, result.device, result.gpu_share) == (6, "cpu", 0)


def test_cores_beside_gpus_train_if_the_config_says_so():
    nodes = [node("a", gpus=1, gpu_gib=80), node("b", cpus=3)]
    result = planned(nodes, "resources.cpu_nodes=true")
    assert (result.workers, result.cpu_workers) == (4, 3)
    assert [gpu_share(result, number) for number in range(4)] == [1, 0, 0, 0]


def test_a_share_of_a_gpu_makes_more_workers():
    result = planned([node("a", gpus=2, gpu_gib=80)], "resources.gpus_per_worker=0.5")
    assert (result.workers, result.gpu_share) == (4, 0.5)


def test_workers_asked_for_beyond_the_nodes_are_demand_for_more_nodes():
    result = planned([], "resources.workers=4", 'resources.device="cuda"')
    assert (result.workers, result.device, result.gpu_share) == (4, "cuda", 1)
    assert result.slots == 4 * 2  # 16 in flight over 4 workers, 2 seeds each


def test_auto_needs_something_to_count():
    with pytest.raises(ConfigError, match=r'resources\.workers = "auto".*has no GPU'):
        planned([node("a")], 'resources.device="cuda"')
    with pytest.raises(ConfigError, match="has no core"):
        planned([])


def test_where_a_small_device_holds_fewer_trials_a_large_one_takes_more():
    config = load_config(None)
    member = estimate_member_bytes(config)
    assert member is not None
    # Room for 3 trials of 2 seeds beside what CUDA takes: the plan counts with 80% of a device.
    small = (700 * 2**20 + 3.5 * 2 * member) / 0.8 / GIB
    nodes = [node("a", gpus=1, gpu_gib=small), node("b", gpus=1, gpu_gib=80)]
    result = planned(nodes)
    assert result.max_in_flight == 16
    assert result.slots == 13 * 2
    even = planned([node("a", gpus=1, gpu_gib=80), node("b", gpus=1, gpu_gib=80)])
    assert even.slots == 8 * 2


def test_a_worker_takes_no_more_than_its_own_device_holds():
    config = load_config(None)
    plan = ClusterPlan(
        workers=1,
        slots=10**6,
        device="cpu",
        gpus=0,
        max_in_flight=10**6,
        estimated_bytes_per_worker=None,
    )
    here = slots_here(config, plan, 0)
    assert here % config.train.seeds == 0
    assert 0 < here < plan.slots


def test_slots_that_are_asked_for_stand():
    nodes = [node("a", gpus=1, gpu_gib=1)]
    result = planned(nodes, "resources.slots=101")
    assert result.slots == 100
    assert slots_here(load_config(None, ["resources.slots=101"]), result, 0) == 100


def test_a_sampler_bears_so_many_in_flight_and_every_worker_asked_for_has_one():
    assert planned([node("a", cpus=64)], trials=16).workers == 4
    assert planned([node("a")], "resources.workers=6", trials=16).max_in_flight == 6
    with pytest.raises(ConfigError, match="so that each has a trial"):
        planned([node("a")], "resources.workers=6", "search.max_in_flight=2")


def test_on_one_machine_workers_share_its_devices_evenly():
    plan = Plan(
        workers=3,
        slots=4,
        device="cuda",
        gpus=2,
        max_in_flight=6,
        estimated_bytes_per_worker=None,
    )
    assert gpu_share(plan, 2) == 0.5
    assert slots_here(load_config(None), plan, 0) == 4
