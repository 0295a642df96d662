"""What a user's own networks may do, and what becomes of it."""

import logging
import sys

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, ConfigError, GanConfig
from gan_core.loop import run_interval
from gan_core.out_of_memory import out_of_memory

PLAYERS = """
import torch
from torch import nn

class G(nn.Module):
    def __init__(self, latent_dim, shape):
        super().__init__()
        self.layer, self.shape = nn.Linear(latent_dim, 64), shape
    def forward(self, z):
        return self.layer(z).tanh().unflatten(1, self.shape)

class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
    def forward(self, x):
        return self.layer(x.flatten(1))[:, 0]

def plain(latent_dim, shape):
    return G(latent_dim, shape), D()

ONE = D()
def shared(latent_dim, shape):
    return G(latent_dim, shape), ONE

class Branching(D):
    def forward(self, x):
        logits = super().forward(x)
        return logits * 2 if logits.mean() > 0 else logits

def branching(latent_dim, shape):
    return G(latent_dim, shape), Branching()

class Dropping(D):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x))

def dropping(latent_dim, shape):
    return G(latent_dim, shape), Dropping()

class Wide(D):
    def forward(self, x):
        return self.layer(x.flatten(1))

def wide(latent_dim, shape):
    return G(latent_dim, shape), Wide()

class Greedy(D):
    def forward(self, x):
        if torch._C._functorch.is_batchedtensor(x):
            torch.empty(2**45)
        return super().forward(x)

def greedy(latent_dim, shape):
    return G(latent_dim, shape), Greedy()

class Failing(G):
    def forward(self, z):
        return self.layer(z[:, :1])

def failing(latent_dim, shape):
    return Failing(latent_dim, shape), D()
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "own_players.py").write_text(PLAYERS)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name: CohortConfig(
        architecture=f"own_players:{name}", latent_dim=4, precision="float64"
    )
    sys.modules.pop("own_players", None)


def test_plain_networks_are_fused_without_a_word(config, digits, caplog):
    cohort = Cohort(config("plain"), digits.sample_shape, slots=2)
    assert cohort.D.fused
    assert not caplog.records


def test_control_flow_by_data_trains_one_member_at_a_time_and_says_so(config, digits, solo, caplog):
    with caplog.at_level(logging.WARNING):
        cohort = Cohort(config("branching"), digits.sample_shape, slots=3)
    assert not cohort.D.fused
    (record,) = caplog.records
    assert "own_players:branching is trained one member at a time" in record.getMessage()
    configs = [GanConfig(seed=i, latent_dim=4, lr_d=1e-2) for i in range(3)]
    members = cohort.admit(configs)
    run_interval(cohort, digits, 5)
    for gan, member in zip(configs, members, strict=True):
        alone = solo(gan, cohort.config, digits, 5)
        for name, tensor in alone.D.state_dict().items():
            torch.testing.assert_close(cohort.export(member)[1][name], tensor, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shared", "gives two members the same parameters"),
        ("dropping", "draws random numbers, which no seed reaches"),
        ("wide", r"Wide makes \[2, 1\] of \[2, 1, 8, 8\]: must be \[2\]"),
        ("failing", r"Failing fails on \[2, 4\]: RuntimeError: .*mat1 and mat2"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(config, digits, name, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Cohort(config(name), digits.sample_shape, slots=2)
    assert "\n" not in str(caught.value)
    assert f"own_players:{name}" in str(caught.value)


def test_what_finds_no_memory_is_not_taken_for_what_cannot_be_fused(config, digits):
    with pytest.raises(RuntimeError) as caught:  # so that the cohort is made smaller
        Cohort(config("greedy"), digits.sample_shape, slots=2)
    assert out_of_memory(caught.value)
