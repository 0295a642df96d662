import dataclasses
import json
import math

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load

from gan_core.metrics.classifier import Recipe, accuracy, classifier, packed, train_classifier

WIDTHS = (64, 128, 64, 10)
HELD_OUT = torch.arange(3, 1797, 4)
TRAIN = torch.arange(1797)[torch.arange(1797) % 4 != 3]


def train(digits, **changes):
    return train_classifier(digits, TRAIN, WIDTHS, dataclasses.replace(Recipe(epochs=1), **changes))


def weights(network):
    return torch.cat([w.detach().flatten() for w in network.parameters()])


def test_the_same_seed_gives_the_same_classifier_and_another_another(digits):
    before = torch.random.get_rng_state()
    a, b, c = train(digits), train(digits), train(digits, seed=1)
    assert torch.equal(weights(a), weights(b))
    assert not torch.equal(weights(a), weights(c))
    assert torch.equal(before, torch.random.get_rng_state())


def test_building_one_draws_nothing_from_the_global_stream():
    before = torch.random.get_rng_state()
    network = classifier(WIDTHS)
    assert torch.equal(before, torch.random.get_rng_state())
    assert [w.shape[0] for w in network.parameters()] == [128, 128, 64, 64, 10, 10]


def test_fifteen_epochs_already_learn_most_of_it(digits):
    # 0.9 here; the margin is for other versions of torch
    assert accuracy(train(digits, epochs=15), digits, HELD_OUT) > 0.8


def test_accuracy_is_the_share_of_right_guesses(digits):
    network = classifier((64, 10))
    network[-1].weight.data.zero_()
    network[-1].bias.data = torch.eye(10)[3]
    threes = digits.labels == 3
    index = torch.arange(len(digits))
    assert accuracy(network, digits, index[threes]) == 1
    assert accuracy(network, digits, index) == pytest.approx(threes.double().mean().item())
    assert math.isnan(accuracy(network, digits, index[:0]))


def test_the_file_holds_half_floats_how_they_were_made_and_the_same_bytes_each_time(
    digits, tmp_path
):
    network, recipe = train(digits), Recipe(epochs=2)
    content = packed(network, recipe, {"dataset": "digits", "test_accuracy": 0.5})
    assert content == packed(network, recipe, {"dataset": "digits", "test_accuracy": 0.5})
    stored = load(content)
    for name, weight in network.state_dict().items():
        assert torch.equal(stored[name], weight.half())
    (tmp_path / "a").write_bytes(content)
    with safe_open(tmp_path / "a", "pt") as file:
        made = json.loads(file.metadata()["made"])
    assert made["test_accuracy"] == 0.5
    assert made["recipe"] == dataclasses.asdict(recipe)
