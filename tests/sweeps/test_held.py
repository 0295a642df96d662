import dataclasses
import math
import re

import pytest
import torch

from analysis.schema import HISTORY
from gan_core.cohort import Cohort
from gan_core.config import CohortConfig
from gan_core.loop import run_interval
from sweeps.held import HeldTrial, gan_config, kept_bytes, take_up
from sweeps.protocol import Assignment
from sweeps.rows import Progress
from sweeps.seal import BLANK, sealed

CONFIG = CohortConfig(generator_widths=(8,), discriminator_widths=(8,), latent_dim=4)
ASSIGNMENT = Assignment(3, 0, {"lr_g": 1e-3, "loss": "hinge", "latent_dim": 4}, (6, 7))
AGAIN = dataclasses.replace(ASSIGNMENT, attempt=1)


@pytest.fixture
def cohort(digits):
    return Cohort(CONFIG, digits.sample_shape, slots=4)


@pytest.fixture
def held(cohort, digits):
    """After one rung, at which seed 7 diverged and left."""
    members = cohort.admit([gan_config(ASSIGNMENT, seed) for seed in ASSIGNMENT.seeds])
    run_interval(cohort, digits, 2)
    progress = [
        Progress(
            trial=3,
            attempt=0,
            seed=seed,
            hyperparameters={"lr_g": 1e-3},
            step=2,
            rung=1,
            metrics={"mode_kl": 0.1 + 0.2, "hq_share": math.nan},
            histogram=[0.5, math.nan],
            diverged_step=2 if seed == 7 else None,
        )
        for seed in ASSIGNMENT.seeds
    ]
    held = HeldTrial(ASSIGNMENT, list(zip(progress, members, strict=True)), value=0.1)
    for rung in range(2):
        held.remember(dict.fromkeys(HISTORY.names) | {"trial": 3, "attempt": 0, "rung": rung})
    cohort.evict([members[1]])
    held.samples.append({"trial": 3, "seed": 7, "attempt": 0, "png": b"\x89PNG\x00\xff"})
    return held


def test_a_trial_is_taken_up_as_it_was_under_its_new_attempt(cohort, held, digits):
    held.began -= 100
    elsewhere = Cohort(CONFIG, digits.sample_shape, slots=2)
    taken = take_up(elsewhere, kept_bytes(cohort, held), AGAIN)
    assert taken.assignment == AGAIN
    assert (taken.value, taken.rung, taken.diverged) == (0.1, 1, 1)
    assert 100 <= taken.seconds < 200
    for (old, _), (new, _) in zip(held.seeds, taken.seeds, strict=True):
        expected = dataclasses.replace(old, attempt=1)
        assert repr(new) == repr(expected)  # NaN is unlike itself
    assert [member.config.seed for _, member in taken.seeds] == [6, 7]
    assert elsewhere.members == (taken.seeds[0][1],)
    parameters = [c.G.parameters[0] for c in (cohort, elsewhere)]
    torch.testing.assert_close(*parameters, rtol=0, atol=0)
    assert [(row["rung"], row["attempt"]) for row in taken.history()] == [(0, 1), (1, 1)]
    assert taken.history()[0].keys() == set(HISTORY.names)
    assert taken.own_samples() == [{"trial": 3, "seed": 7, "attempt": 1, "png": b"\x89PNG\x00\xff"}]


def test_what_was_taken_up_can_be_kept_and_taken_up_again(cohort, held, digits):
    first, second = (Cohort(CONFIG, digits.sample_shape, slots=2) for _ in range(2))
    once = take_up(first, kept_bytes(cohort, held), AGAIN)
    twice = take_up(second, kept_bytes(first, once), dataclasses.replace(AGAIN, attempt=2))
    assert [row["attempt"] for row in twice.history() + twice.own_samples()] == [2, 2, 2]
    assert len(second.members) == 1


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(AGAIN, seeds=(6, 8)),
        dataclasses.replace(AGAIN, hyperparameters=AGAIN.hyperparameters | {"lr_g": 2e-3}),
    ],
)
def test_another_trials_is_left_alone(cohort, held, digits, other):
    elsewhere = Cohort(CONFIG, digits.sample_shape, slots=2)
    assert take_up(elsewhere, kept_bytes(cohort, held), other) is None
    assert elsewhere.members == ()


def test_other_networks_are_left_alone(cohort, held, digits):
    wider = dataclasses.replace(CONFIG, generator_widths=(16,))
    elsewhere = Cohort(wider, digits.sample_shape, slots=2)
    assert take_up(elsewhere, kept_bytes(cohort, held), AGAIN) is None
    assert elsewhere.members == ()


def replaced(data, old, new):
    """As somebody else would have written it."""
    digest = re.search(rb"sha256:[0-9a-f]{64}", data)[0]
    return sealed(data.replace(digest, BLANK.encode()).replace(old, new))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],  # a bit of a number
        # The names of tensors and of what the note holds, as another version may have them.
        lambda data: replaced(data, b"0.values.lr_g", b"0.values.rate"),
        lambda data: replaced(data, b"standing", b"stending"),
        lambda data: replaced(data, b"diverged_step", b"diverged_stop"),
        lambda data: replaced(data, b"seconds", b"minutes"),
    ],
)
def test_what_cannot_be_understood_leaves_the_cohort_as_it_was(cohort, held, digits, damage):
    data = kept_bytes(cohort, held)
    elsewhere = Cohort(CONFIG, digits.sample_shape, slots=3)
    (there,) = elsewhere.admit([gan_config(ASSIGNMENT, 9)])
    before = elsewhere.G.parameters[0].clone()
    assert damage(data) != data
    assert take_up(elsewhere, damage(data), AGAIN) is None
    assert elsewhere.members == (there,)
    torch.testing.assert_close(elsewhere.G.parameters[elsewhere.slot(there)], before)


def test_columns_that_another_version_did_not_have_are_null(cohort, held, digits):
    data = replaced(kept_bytes(cohort, held), b"grad_norm_d_max", b"grad_norm_d_mix")
    taken = take_up(Cohort(CONFIG, digits.sample_shape, slots=2), data, AGAIN)
    row = taken.history()[0]
    assert row.keys() == set(HISTORY.names)
    assert row["grad_norm_d_max"] is None
