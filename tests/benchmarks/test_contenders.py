import dataclasses

import pytest
import torch

from benchmarks.cases import CASES, find_case, load_data
from benchmarks.contenders import gansweep
from benchmarks.contenders.solo import Solo
from benchmarks.contenders.tutorial import Tutorial
from benchmarks.searching import SPACE, Search
from gan_core.config import ConfigError, Precision
from sweeps.config_file import load_config
from sweeps.machine import Machine
from sweeps.plan import plan


@pytest.fixture(scope="module")
def digits():
    return load_data(CASES["digits"], root=None, device="cpu")


@pytest.mark.parametrize("contender", [Solo, Tutorial])
@pytest.mark.parametrize("name", ["digits", "ring8"])
def test_a_gan_alone_learns_from_the_data_of_its_case(contender, name):
    case = CASES[name]
    dataset = load_data(case, root=None, device="cpu")
    gan = contender(case, dataset)
    before = [p.clone() for p in (*gan.G.parameters(), *gan.D.parameters())]
    gan.train(2)
    after = [*gan.G.parameters(), *gan.D.parameters()]
    assert all((a != b).any() for a, b in zip(after, before, strict=True))
    real = next(gan.batches(dataset))
    assert real.shape == (case.batch_size, *dataset.sample_shape)
    assert gan.generate(5).shape == (5, *dataset.sample_shape)


def test_samples_one_by_one_are_those_in_memory(digits):
    torch.manual_seed(0)
    whole = digits.batch(torch.arange(len(digits))).flatten(1)
    drawn = next(Tutorial(CASES["digits"], digits).batches(digits)).flatten(1)
    # 17 shades were made bytes.
    nearest = torch.cdist(drawn, whole, p=torch.inf).min(1).values
    assert nearest.max() <= 1 / 255 + 1e-6


def test_hyperparameters_reach_the_gan_alone(digits):
    gan = Solo(
        CASES["digits"], digits, lr_g=1e-3, lr_d=1e-4, latent_dim=8, label_smoothing=0.25, seed=1
    )
    assert gan._adam_g.param_groups[0]["lr"] == 1e-3
    assert gan._adam_d.param_groups[0]["lr"] == 1e-4
    assert gan._real.unique().item() == 0.75
    assert next(gan.G.parameters()).shape[1] == 8
    assert {"lr_g", "lr_d", "latent_dim", "label_smoothing"} == set(SPACE)


def test_a_cohort_trains_the_networks_of_the_case(digits):
    case = CASES["digits"]
    runner = gansweep.CohortRunner(case, digits, 2)
    runner.train(3)
    members = runner.cohort.members
    assert [runner.cohort.values["step"][i].item() for i in range(2)] == [3, 3]
    trained, _ = runner.cohort.export(members[0])
    alone = Solo(case, digits).G.state_dict()
    assert {name: w.shape for name, w in trained.items()} == {n: w.shape for n, w in alone.items()}


def test_a_cohort_trains_in_the_precision_that_is_asked_for(digits):
    coarse = gansweep.CohortRunner(CASES["digits"], digits, 2, "bfloat16")
    usual = gansweep.CohortRunner(CASES["digits"], digits, 2)
    for runner in (coarse, usual):
        runner.train(3)
    (rounded, _), (exact, _) = (r.cohort.export(r.cohort.members[1]) for r in (coarse, usual))
    assert {w.dtype for w in rounded.values()} == {torch.float32}
    assert any((rounded[name] != exact[name]).any() for name in exact)
    # Three of Adam's steps at a rate of 1e-3 move no parameter further apart than 6e-3.
    assert all((rounded[name] - exact[name]).abs().max() < 6e-3 for name in exact)


@pytest.mark.parametrize("name", ["digits", "ring8"])
def test_the_search_of_gansweep_is_what_was_asked_for(tmp_path, name):
    search = Search(
        case=find_case(name), trials=7, steps=300, eval_every=100, eval_images=500, seed=3,
        prunes=True, workers=2, slots=5, in_flight=6, precision="bfloat16",
    )  # fmt: skip
    command = gansweep.command(search, tmp_path)
    config = load_config(tmp_path / "search.toml", [])
    assert command[1:4] == ["-m", "sweeps", "run"]
    assert (config.train.steps, config.train.eval_every, config.train.seeds) == (300, 100, 1)
    assert (config.search.trials, config.search.seed, config.search.pruner) == (7, 3, "rungs")
    assert config.search.baseline == ()
    assert (config.resources.workers, config.resources.slots) == (2, 5)
    assert config.search.max_in_flight == 6
    assert set(config.searched) == set(SPACE)
    shared = search.case.shared
    assert config.model.generator_widths == shared.generator_widths
    assert config.model.architecture == shared.architecture
    assert config.train.batch_size == shared.batch_size
    assert config.train.precision == Precision.BFLOAT16


def test_every_worker_has_the_slots_that_a_search_asks_for(tmp_path):
    search = Search(case=find_case("digits"), trials=512, workers=2, slots=64, in_flight=128)
    gansweep.command(search, tmp_path)
    config = load_config(tmp_path / "search.toml", [])
    assert config.train.precision == Precision.FLOAT32
    planned = plan(config, Machine(cores=2, memory_bytes=8 << 30, cuda_devices=0, cuda_bytes=0))
    assert (planned.workers, planned.slots, planned.max_in_flight) == (2, 64, 128)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_has_a_cohort_in_bfloat16_if_gan_core_can_train_it(case):
    try:
        dataclasses.replace(case.shared, precision=Precision.BFLOAT16)
    except ConfigError:
        assert case.bfloat16_members is None
    else:
        assert case.bfloat16_members in case.members


def test_a_search_survives_the_way_to_another_process():
    search = Search(case=find_case("digits"), trials=3, prunes=True)
    assert Search.from_json(search.as_json()) == search


def test_an_unknown_case_is_refused():
    with pytest.raises(ValueError, match=r"--cases no: must be of ring8, digits"):
        find_case("no")


def test_mnist_without_its_files_is_of_its_size():
    dataset = load_data(CASES["mnist"], root=None, device="cpu")
    assert dataset.data.shape == (60_000, 1, 28, 28)
    with pytest.raises(ConfigError):
        load_data(CASES["mnist"], root="/nowhere", device="cpu")
