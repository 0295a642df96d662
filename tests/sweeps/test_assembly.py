"""What the config says is what is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_core.config import ConfigError, GanConfig, Noise, Precision
from sweeps.assembly import assemble_cohort, assemble_dataset
from sweeps.config_file import load_config


def test_the_dataset_is_the_configs():
    assert assemble_dataset(load_config(None), "cpu").name == "digits"
    assert assemble_dataset(load_config(None, ["data.dataset=ring8"]), "cpu").sample_shape == (2,)


def test_own_data_is_read_from_its_root(tmp_path):
    points = np.arange(120.0).reshape(40, 3)
    np.save(tmp_path / "points.npy", points)
    own = ["data.dataset=npz", f"data.root={tmp_path}/points.npy"]
    dataset = assemble_dataset(load_config(None, own), "cpu")
    assert dataset.sample_shape == (3,)
    assert len(dataset.data) == 40


def test_files_that_are_gone_by_then_are_refused(tmp_path):
    np.save(tmp_path / "points.npy", np.zeros((40, 3)))
    own = ["data.dataset=npz", f"data.root={tmp_path}/points.npy"]
    config = load_config(None, own)
    (tmp_path / "points.npy").unlink()
    with pytest.raises(ConfigError, match=r"data\.root"):
        assemble_dataset(config, "cpu")


def test_a_cohort_has_all_that_its_members_share():
    config = load_config(
        None,
        [
            "model.generator_widths=[5, 7]",
            "model.discriminator_widths=[11]",
            "model.activation=relu",
            "model.noise=uniform",
            "model.channels=8",
            "train.batch_size=3",
            "train.steps=400",
            "train.precision=float64",
            "space.latent_dim={low=4, high=24}",
        ],
    )
    cohort = assemble_cohort(config, (1, 8, 8), classes=10, slots=2, device="cpu")
    shared = cohort.config
    assert (shared.generator_widths, shared.discriminator_widths) == ((5, 7), (11,))
    assert (shared.activation, shared.noise) == ("relu", Noise.UNIFORM)
    assert (shared.channels, shared.batch_size, shared.schedule_steps) == (8, 3, 400)
    assert shared.precision is Precision.FLOAT64
    assert shared.latent_dim == 24  # to which shorter ones are padded
    assert (cohort.slots, len(cohort.members)) == (2, 0)


def test_members_of_the_space_can_be_admitted_and_make_samples():
    config = load_config(None, ["space.latent_dim={choices=[4, 16]}", "model.conditional=true"])
    cohort = assemble_cohort(config, (1, 8, 8), classes=10, slots=3, device="cpu")
    members = cohort.admit([GanConfig(latent_dim=4), GanConfig(latent_dim=16, seed=1)])
    samples = cohort.generate(members, 6)
    assert samples.shape == (2, 6, 1, 8, 8)
    assert not torch.equal(samples[0], samples[1])
    with pytest.raises(ConfigError, match="latent_dim"):
        cohort.admit([GanConfig(latent_dim=17, seed=2)])
