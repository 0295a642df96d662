"""How a sweep is laid out on a machine."""

from __future__ import annotations

import math

import pytest

from gan_core.config import ConfigError
from sweeps.config_file import load_config
from sweeps.machine import Machine
from sweeps.plan import MOST_ON_CPU, estimate_member_bytes, plan

GIB = 2**30
LAPTOP = Machine(cores=4, memory_bytes=16 * 2**30)
GPUS = Machine(cores=32, memory_bytes=256 * 2**30, cuda_devices=2, cuda_bytes=80 * 2**30)


def planned(*overrides, machine=LAPTOP):
    return plan(load_config(None, overrides), machine)


def test_a_quarter_of_the_trials_is_in_flight_spread_over_the_cores():
    laid_out = planned("search.trials=64", "train.seeds=2")
    assert laid_out.max_in_flight == 16
    assert (laid_out.workers, laid_out.slots) == (4, 8)
    assert laid_out.device == "cpu"


def test_random_sampling_has_nothing_to_wait_for():
    assert planned("search.sampler=random", "search.trials=64").max_in_flight == 64


def test_a_core_takes_no_more_members_than_speed_it_up_unless_it_is_asked_to():
    assert planned("search.trials=5000", "train.seeds=2").slots == MOST_ON_CPU
    assert planned("search.trials=5000", "train.seeds=2").max_in_flight == 4 * MOST_ON_CPU // 2
    assert planned("search.trials=500", "train.seeds=100").max_in_flight == 4
    assert planned("search.trials=5000", "search.max_in_flight=1000").max_in_flight == 1000
    assert planned("search.trials=5000", "resources.slots=128").slots == 128
    assert planned("search.trials=5000", machine=GPUS).max_in_flight == 1250


@pytest.mark.parametrize("trials", [1, 2, 3, 5, 17, 64, 1000])
@pytest.mark.parametrize("workers", ["auto", 1, 3, 50])
@pytest.mark.parametrize("seeds", [1, 3])
def test_no_worker_is_idle_and_everything_in_flight_has_a_slot(trials, workers, seeds):
    laid_out = planned(
        f"search.trials={trials}",
        f"resources.workers={workers}",
        f"train.seeds={seeds}",
        machine=Machine(cores=4, memory_bytes=64 * GIB),
    )
    assert 1 <= laid_out.workers <= laid_out.max_in_flight <= trials
    assert laid_out.slots % seeds == 0
    assert laid_out.max_in_flight <= laid_out.workers * laid_out.slots // seeds
    assert laid_out.slots // seeds == math.ceil(laid_out.max_in_flight / laid_out.workers)


def test_a_gpu_gets_one_worker():
    laid_out = planned(machine=GPUS)
    assert (laid_out.device, laid_out.workers) == ("cuda", 2)
    assert planned("resources.device=cpu", machine=GPUS).device == "cpu"


def test_cuda_where_there_is_none_is_refused():
    with pytest.raises(ConfigError, match=r'resources\.device = "cuda": torch sees no CUDA device'):
        planned("resources.device=cuda")


def test_what_the_user_gives_is_kept():
    laid_out = planned("resources.workers=2", "resources.slots=6", "search.max_in_flight=5")
    assert (laid_out.workers, laid_out.slots, laid_out.max_in_flight) == (2, 6, 5)


def test_slots_hold_whole_trials():
    laid_out = planned("resources.slots=7", "train.seeds=3", "resources.workers=1")
    assert (laid_out.slots, laid_out.max_in_flight) == (6, 2)


def test_fewer_trials_in_flight_than_workers_are_refused():
    with pytest.raises(ConfigError, match=r"must be >= resources\.workers = 4"):
        planned("search.max_in_flight=2", "resources.workers=4")


def test_slots_fit_the_memory_and_hold_one_trial_at_least():
    config = ["search.trials=4000", "search.max_in_flight=1000", "resources.workers=1"]
    roomy = planned(*config, machine=Machine(cores=1, memory_bytes=1024 * GIB))
    small = planned(*config, machine=Machine(cores=1, memory_bytes=2 * GIB))
    assert roomy.slots == 2000
    assert 2 < small.slots < 2000
    assert small.estimated_bytes_per_worker <= 0.8 * 2 * GIB
    assert small.max_in_flight == small.slots // 2


@pytest.mark.parametrize("memory", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("slots", ["auto", 4])
def test_there_are_no_more_workers_than_memory_for_a_trial_in_each(memory, slots):
    machine = Machine(cores=64, memory_bytes=memory * GIB)
    laid_out = planned("search.trials=4000", f"resources.slots={slots}", machine=machine)
    assert laid_out.workers * laid_out.estimated_bytes_per_worker <= 0.8 * memory * GIB
    one_more = (laid_out.workers + 1) * laid_out.estimated_bytes_per_worker
    assert laid_out.workers == 64 or one_more > 0.8 * memory * GIB
    own = planned("model.architecture=mine.nets:make", machine=machine)
    assert own.workers == min(16, int(0.8 * memory * GIB / (700 * 2**20)))


@pytest.mark.parametrize(
    ("changes", "machine", "message"),
    [
        (
            [],
            Machine(cores=4, memory_bytes=GIB // 2),
            r'^resources\.slots = "auto": a worker with one trial \(2 members\) takes about '
            r"0\.7 GiB, and there are 0\.4 for each: must be a number to try it all the same",
        ),
        (
            ["resources.workers=4"],
            Machine(cores=4, memory_bytes=2 * GIB),
            r"^resources\.workers = 4: .* 0\.4 for each: must be less, or resources\.slots given",
        ),
        (
            ["train.batch_size=10000000", "train.seeds=10"],
            LAPTOP,
            r"\(10 members\) takes about [\d.]+ GiB, .* or train\.batch_size or the like smaller",
        ),
        (
            ["model.architecture=mine.nets:make"],
            Machine(cores=4, memory_bytes=GIB // 2),
            r"takes about 0\.7 GiB",
        ),
        ([], Machine(cores=4, memory_bytes=GIB, cuda_devices=1, cuda_bytes=GIB // 2), r"0\.4 for"),
    ],
)
def test_too_little_memory_for_one_trial_is_refused(changes, machine, message):
    with pytest.raises(ConfigError, match=message):
        planned(*changes, machine=machine)


def test_slots_that_are_asked_for_are_tried_whatever_the_memory():
    tiny = Machine(cores=4, memory_bytes=GIB // 2)
    laid_out = planned("resources.slots=6", machine=tiny)
    assert (laid_out.workers, laid_out.slots) == (1, 6)


def test_parameters_are_counted_as_the_networks_have_them():
    from gan_core.config import CohortConfig
    from gan_core.networks.catalog import build

    overrides = ["train.batch_size=1", "train.eval_images=2", "space.latent_dim=32"]
    widths = ["model.generator_widths=[5, 7]", "model.discriminator_widths=[11]"]
    config = load_config(None, [*overrides, *widths])
    shared = CohortConfig(generator_widths=(5, 7), discriminator_widths=(11,), latent_dim=32)
    players = build(shared, 32, (1, 8, 8), seed=0)
    parameters = sum(p.numel() for player in players for p in player.parameters())
    activations = 32 + 5 + 7 + 64 + 64 + 11 + 1
    assert estimate_member_bytes(config) == 4 * (5 * parameters + 6 * activations + 2 * 2 * 64)


def test_double_precision_takes_twice_the_memory():
    single, double = (load_config(None, [f"train.precision=float{b}"]) for b in (32, 64))
    assert estimate_member_bytes(double) == 2 * estimate_member_bytes(single)


def test_an_own_architecture_has_no_estimate():
    laid_out = planned("model.architecture=mine.nets:make")
    assert laid_out.estimated_bytes_per_worker is None
    assert laid_out.slots == 8
