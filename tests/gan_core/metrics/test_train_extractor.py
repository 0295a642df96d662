import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from gan_core.data import load_dataset
from gan_core.datasets import DatasetName
from gan_core.metrics.features import weights_file
from gan_core.metrics.train_extractor import (
    accuracy,
    load_split,
    main,
    recipe,
    save_classifier,
    train_classifier,
)


@pytest.fixture(scope="module")
def split():
    return load_split("digits")


def train(split, **changes):
    short = dataclasses.replace(recipe("digits"), **{"epochs": 3, **changes})
    return train_classifier("digits", split.images, split.labels, short)


def weights(network):
    return torch.cat([w.detach().flatten() for w in network.parameters()])


def test_the_same_seed_gives_the_same_classifier_and_another_another(split):
    before = torch.random.get_rng_state()
    a, b, c = train(split), train(split), train(split, seed=1)
    assert torch.equal(weights(a), weights(b))
    assert not torch.equal(weights(a), weights(c))
    assert torch.equal(before, torch.random.get_rng_state())


def test_twenty_epochs_already_learn_most_of_it(split):
    # 0.94 here; the margin is for other versions of torch
    assert accuracy(train(split, epochs=20), split.test_images, split.test_labels) > 0.9


def test_no_test_image_is_trained_on(split):
    assert len(split.images) + len(split.test_images) == len(load_dataset("digits").images)
    distances = torch.cdist(split.test_images.flatten(1), split.images.flatten(1))
    # scikit-learn's digits hold no image twice
    assert distances.min() > 0
    assert split.test_labels.bincount().min() >= 35


def test_the_file_holds_half_floats_how_they_were_made_and_the_same_bytes_each_time(
    split, tmp_path
):
    network = train(split, epochs=1)
    for name in ("a", "b"):
        save_classifier(network, tmp_path / name, {"dataset": "digits", "test_accuracy": 0.5})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    stored = load_file(tmp_path / "a")
    for name, weight in network.state_dict().items():
        assert torch.equal(stored[name], weight.half())
    with safe_open(tmp_path / "a", "pt") as file:
        assert json.loads(file.metadata()["made"])["test_accuracy"] == 0.5


@pytest.mark.parametrize("dataset", list(DatasetName))
def test_the_shipped_weights_say_that_they_were_made_by_todays_recipe(dataset):
    with safe_open(weights_file(dataset), "pt") as file:
        made = json.loads(file.metadata()["made"])
    assert made["dataset"] == dataset
    assert made["recipe"] == dataclasses.asdict(recipe(dataset))


def test_missing_files_are_the_users_mistake(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["mnist", "--root", str(tmp_path / "nowhere")])
    assert caught.value.code == 2
    output = capsys.readouterr()
    assert "data.root" in output.err
    assert output.out == ""


@pytest.mark.slow
def test_the_command_writes_what_ships_as_well_as_it_did(tmp_path):
    assert main(["digits", "--out", str(tmp_path / "digits")]) == 0
    with safe_open(tmp_path / "digits", "pt") as file:
        assert json.loads(file.metadata()["made"])["test_accuracy"] >= 0.97
