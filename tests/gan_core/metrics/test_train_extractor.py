import dataclasses
import json

import pytest
import torch
from safetensors import safe_open

from gan_core.metrics.features import SHIPPED, weights_file
from gan_core.metrics.train_extractor import load_split, main, recipe


def test_no_test_image_is_trained_on():
    split = load_split("digits")
    assert len(split.train_indices) + len(split.test_indices) == 1797
    train = split.train.batch(split.train_indices).flatten(1)
    test = split.test.batch(split.test_indices).flatten(1)
    # scikit-learn's digits hold no image twice
    assert torch.cdist(test, train).min() > 0
    assert split.test.labels[split.test_indices].bincount().min() >= 35


def test_mnist_is_tested_on_its_test_split(mnist_root):
    split = load_split("mnist", mnist_root)
    assert (len(split.train_indices), len(split.test_indices)) == (60_000, 10_000)
    assert split.test is not split.train


@pytest.mark.parametrize("dataset", list(SHIPPED))
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
