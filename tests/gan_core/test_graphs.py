import dataclasses
import logging

import pytest
import torch

from gan_core import graphs
from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig
from gan_core.data import Dataset
from gan_core.graphs import capture_on_cuda, run_graphed
from gan_core.loop import run_interval
from gan_core.signals import SignalStatistics
from gan_core.step import advance, step

CONFIG = CohortConfig(
    generator_widths=(16,),
    discriminator_widths=(16,),
    latent_dim=8,
    batch_size=32,
    schedule_steps=100,
)
KINDS = [
    {"loss": "nonsaturating", "label_smoothing": 0.1},
    {"loss": "hinge", "d_norm": "spectral", "lr_schedule": "cosine"},
    {"loss": "relativistic", "d_norm": "batch", "d_steps": 2},
    {"loss": "wgan-gp", "ema_half_life_images": 500.0},
    {"loss": "wgan"},
    {"loss": "dragan", "instance_noise": 0.1},
    {"loss": "lsgan", "penalty": "r1"},
    {"loss": "r3gan"},
]
GANS = [GanConfig(seed=i, latent_dim=8, **kind) for i, kind in enumerate(KINDS)]


def cohort_of(gans, device="cpu"):
    cohort = Cohort(CONFIG, (1, 8, 8), slots=len(gans), device=device)
    return cohort, cohort.admit(gans)


def everything(cohort):
    """All tensors that a step reads or writes of a cohort."""
    stacks = {
        f"{player}.{name}": tensor
        for player, stack in (("G", cohort.G), ("D", cohort.D))
        for name, tensor in (stack.state() | {"gradient": stack.gradient}).items()
    }
    return {**stacks, **cohort.values, "roots": cohort.roots}


def again(one):
    """A capture for any device: it makes the step anew."""
    return one


def read(cohort, statistics):
    return [t.clone() for t in everything(cohort).values()], repr(statistics.read())


def same(first, second):
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def without_values(cohort):
    """The cohort on torch's meta device: tensors with shapes, and nothing for a host to read."""
    for stack in (cohort.G, cohort.D):
        for name in ("parameters", "gradient", "moment1", "moment2", "average"):
            setattr(stack, name, getattr(stack, name).to("meta"))
        for kind in stack._kinds.values():
            kind.buffers.update({name: b.to("meta") for name, b in kind.buffers.items()})
    cohort.values = {name: value.to("meta") for name, value in cohort.values.items()}
    cohort.roots = cohort.roots.to("meta")
    cohort.device = torch.device("meta")


def test_between_two_rungs_the_host_reads_nothing(digits):
    # As on any device but the CPU. Every kind of member, so every branch of a step.
    cohort, _ = cohort_of(GANS)
    without_values(cohort)
    dataset = Dataset("digits", digits.data.to("meta"), digits.levels, None, ())
    statistics = SignalStatistics(len(GANS), cohort.device)
    for _ in range(2):
        step(cohort, dataset, statistics)
    assert cohort.values["alive"].is_meta
    statistics._look()  # as every 64 steps
    for read in (statistics.read, cohort.values["alive"].all().item):
        with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
            read()


def test_refilled_slots_are_the_same_memory(digits):
    cohort, members = cohort_of(GANS)
    before = {name: tensor.data_ptr() for name, tensor in everything(cohort).items()}
    for _ in range(2):
        run_interval(cohort, digits, 1)
        cohort.evict([members[0], members[3]])
        members = [*members[1:3], *members[4:], *cohort.admit([GANS[0], GANS[3]])]
    assert {name: tensor.data_ptr() for name, tensor in everything(cohort).items()} == before


@pytest.mark.parametrize("steps", [[7], [2, 2, 3], [1] * 7, [5, 0, 2]])
def test_all_steps_are_made_once_whether_captured_or_not(digits, steps):
    plain, _ = cohort_of(GANS)
    expected = SignalStatistics(len(GANS), plain.device)
    for _ in range(7):
        step(plain, digits, expected)
    graphed, _ = cohort_of(GANS)
    statistics = SignalStatistics(len(GANS), graphed.device)
    for count in steps:
        run_graphed(graphed, digits, statistics, count, capture=again)
    (ours, seen), (theirs, expected_row) = read(graphed, statistics), read(plain, expected)
    same(ours, theirs)
    assert seen == expected_row


def test_a_step_is_captured_again_only_when_the_members_are_others(digits):
    captures = []

    def counted(one):
        captures.append(one)
        return one

    cohort, members = cohort_of(GANS[:2])
    statistics = SignalStatistics(2, cohort.device)
    for _ in range(3):
        run_graphed(cohort, digits, statistics, 5, capture=counted)
    assert len(captures) == 1
    cohort.evict(members[:1])
    (newcomer,) = cohort.admit([GANS[0]])  # of the same signature: the graph stays
    run_graphed(cohort, digits, statistics, 5, capture=counted)
    assert len(captures) == 1
    cohort.evict([newcomer])
    cohort.admit([GANS[4]])
    run_graphed(cohort, digits, statistics, 5, capture=counted)
    assert len(captures) == 2
    cohort.evict([members[1]])
    run_graphed(cohort, digits, SignalStatistics(1, cohort.device), 5, capture=counted)
    assert len(captures) == 3


def test_a_graph_is_of_one_dataset(digits):
    captures = []

    def counted(one):
        captures.append(one)
        return one

    cohort, _ = cohort_of(GANS[:1])
    for dataset in (digits, dataclasses.replace(digits)):
        statistics = SignalStatistics(1, cohort.device)
        run_graphed(cohort, dataset, statistics, 5, capture=counted)
    assert len(captures) == 2


def test_what_cannot_be_captured_is_trained_all_the_same_and_said_once(digits, caplog):
    tried = []

    def fails(one):
        tried.append(one)
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    cohort, _ = cohort_of(GANS[:2])
    statistics = SignalStatistics(2, cohort.device)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            run_graphed(cohort, digits, statistics, 5, capture=fails)
    assert cohort.values["step"].tolist() == [10, 10]
    assert len(tried) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "training without a CUDA graph, which could not be captured: operation not permitted when "
        "stream is capturing"
    ]


def test_a_cohort_that_is_gone_is_forgotten(digits):
    def frozen(one):
        observed = one()
        return lambda: observed

    cohort, _ = cohort_of(GANS[:1])
    run_graphed(cohort, digits, SignalStatistics(1, cohort.device), 5, capture=frozen)
    known = len(graphs._captured)
    del cohort
    assert len(graphs._captured) == known - 1


@pytest.mark.gpu
def test_a_graph_trains_bitwise_as_the_ordinary_way_does(digits):
    dataset = Dataset("digits", digits.data.cuda(), digits.levels, None, ())
    runs = []
    for capture in (again, capture_on_cuda):
        cohort, _ = cohort_of(GANS, "cuda")
        statistics = SignalStatistics(len(GANS), cohort.device)
        for _ in range(2):
            run_graphed(cohort, dataset, statistics, 20, capture=capture)
        assert cohort not in graphs._refused
        runs.append(read(cohort, statistics))
    same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]


@pytest.mark.gpu
def test_a_graph_survives_a_refill(digits):
    dataset = Dataset("digits", digits.data.cuda(), digits.levels, None, ())
    ends = []
    for capture in (again, capture_on_cuda):
        cohort, members = cohort_of(GANS, "cuda")
        statistics = SignalStatistics(len(GANS), cohort.device)
        run_graphed(cohort, dataset, statistics, 10, capture=capture)
        cohort.evict(members[:1])
        cohort.admit([GanConfig(seed=77, latent_dim=8, **KINDS[0])])
        run_graphed(cohort, dataset, statistics, 10, capture=capture)
        ends.append(read(cohort, statistics))
    same(ends[0][0], ends[1][0])


def test_a_step_observes_every_member_in_tensors_of_its_device(digits):
    cohort, _ = cohort_of(GANS[:3])
    observed = advance(cohort, digits)
    assert len(observed.signals) == len(observed.sound) == len(observed.nonfinite) == 3
    assert observed.sound.all()
    assert not observed.nonfinite.any()


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="before torch 2.9")
def test_float32_is_float32_in_convolutions_too(digits):
    settings, seen = torch.backends.cudnn.conv, []
    before = settings.fp32_precision

    def looking(one):
        seen.append(settings.fp32_precision)
        return one

    cohort, _ = cohort_of(GANS[:1])
    run_graphed(cohort, digits, SignalStatistics(1, cohort.device), 5, capture=looking)
    assert seen == ["ieee"]
    assert settings.fp32_precision == before
