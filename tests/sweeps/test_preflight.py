"""What cannot be trained is refused before anything is written or started."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gan_core.config import ConfigError
from sweeps.config_file import load_config
from sweeps.preflight import check_architecture

FACTORY = """
import torch
from torch import nn

def whole(latent_dim, sample_shape):
    return nn.Sequential(nn.Linear(latent_dim, 64), nn.Unflatten(1, sample_shape)), critic()

def critic():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))

def wrong_shape(latent_dim, sample_shape):
    return nn.Linear(latent_dim, 63), critic()

class Greedy(nn.Linear):
    def forward(self, x):
        if torch._C._functorch.is_batchedtensor(x):
            torch.empty(2**45)
        return super().forward(x)

def greedy(latent_dim, sample_shape):
    return nn.Sequential(Greedy(latent_dim, 64), nn.Unflatten(1, sample_shape)), critic()
"""


def check(*overrides):
    check_architecture(load_config(None, overrides))


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A user's module in the directory that the command is given in."""
    (tmp_path / "nets_of_preflight.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield "nets_of_preflight"
    sys.modules.pop("nets_of_preflight", None)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["model.conditional=true"],
        ["model.architecture=dcgan"],
        ["model.architecture=mlp_bn", "space.d_norm={choices=['none', 'layer', 'spectral']}"],
        ["model.generator_widths=[]", "model.discriminator_widths=[]"],
        ["model.discriminator_widths=[]", "space.d_norm={choices=['none', 'spectral']}"],
    ],
)
def test_what_can_be_trained_passes(changes):
    check(*changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.architecture=sn_resnet"], "makes square images of 32 pixels"),
        (["model.architecture=stylegan", "data.dataset=ring8"], "model.architecture"),
        (["model.discriminator_widths=[]", "space.d_norm=layer"], "no hidden layers"),
    ],
)
def test_what_an_architecture_cannot_do_for_such_samples_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        check(*changes)


def test_labels_are_needed_where_networks_are_told_them(tmp_path):
    np.save(tmp_path / "points.npy", np.zeros((40, 3)))
    own = ["data.dataset=npz", f"data.root={tmp_path}/points.npy"]
    check(*own)
    with pytest.raises(ConfigError, match="needs a dataset with labels"):
        check(*own, "model.conditional=true")


def test_the_users_own_factory_is_called(nets):
    check(f"model.architecture={nets}:whole")


@pytest.mark.parametrize("name", ["absent", "wrong_shape"])
def test_a_factory_that_does_not_do_is_refused_naming_it(nets, name):
    with pytest.raises(ConfigError, match=f"{nets}:{name}"):
        check(f"model.architecture={nets}:{name}")


def test_what_needs_no_look_is_passed_without_torch():
    code = (
        "import sys; from sweeps.config_file import load_config;"
        "from sweeps.preflight import check_architecture;"
        "check_architecture(load_config(None)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=400)
    assert done.stdout == "False\n", done.stderr


def test_what_finds_no_memory_to_be_tried_in_is_refused_in_one_line(nets):
    with pytest.raises(ConfigError, match="there is not enough memory here to try it: ") as caught:
        check(f"model.architecture={nets}:greedy")
    assert len(str(caught.value).splitlines()) == 1
