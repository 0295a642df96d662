import hashlib
import json

import pytest
import torch
from safetensors import safe_open

from gan_core.data import load_dataset
from gan_core.datasets import DatasetName, sample_shape
from gan_core.metrics.features import extractor, weights_file
from gan_core.metrics.train_extractor import load_split

LEAST_ACCURACY = {DatasetName.DIGITS: 0.97, DatasetName.MNIST: 0.98}


@pytest.fixture(scope="module", params=list(DatasetName))
def split(request):
    root = request.getfixturevalue("mnist_root") if request.param == DatasetName.MNIST else None
    return request.param, load_split(request.param, root)


def images(dataset, n=5):
    random = torch.Generator().manual_seed(0)
    return torch.rand(n, *sample_shape(dataset), generator=random) * 2 - 1


def test_held_out_images_are_told_apart_as_well_as_the_file_says(split):
    dataset, held_out = split
    _, classes = extractor(dataset)(held_out.test_images)
    share = (classes == held_out.test_labels).double().mean().item()
    assert share >= LEAST_ACCURACY[dataset]
    with safe_open(weights_file(dataset), "pt") as file:
        made = json.loads(file.metadata()["made"])
    # one image, should a tie fall otherwise on another processor
    assert share == pytest.approx(made["test_accuracy"], abs=1 / made["test_images"] + 1e-4)
    assert made["test_images"] == len(held_out.test_images)


def test_a_little_noise_does_not_throw_the_classifier_off(split):
    dataset, held_out = split
    noise = torch.randn(held_out.test_images.shape, generator=torch.Generator().manual_seed(0))
    _, classes = extractor(dataset)((held_out.test_images + 0.2 * noise).clamp(-1, 1))
    assert (classes == held_out.test_labels).double().mean() >= LEAST_ACCURACY[dataset] - 0.02


@pytest.mark.parametrize("dataset", list(DatasetName))
def test_features_are_64_wide_not_negative_and_classes_are_ten(dataset):
    extract = extractor(dataset)
    features, classes = extract(images(dataset))
    assert features.shape == (5, extract.features_dim) == (5, 64)
    assert features.dtype == torch.float32
    assert (features >= 0).all()
    assert not features.requires_grad
    assert classes.shape == (5,)
    assert classes.dtype == torch.int64
    assert extract.classes == 10


@pytest.mark.parametrize("dataset", list(DatasetName))
def test_the_hash_is_that_of_the_file_and_the_file_is_small(dataset):
    content = weights_file(dataset).read_bytes()
    assert extractor(dataset).hash == hashlib.sha256(content).hexdigest()
    assert len(content) < 500_000


def test_each_dataset_has_its_own_classifier():
    assert len({extractor(dataset).hash for dataset in DatasetName}) == len(DatasetName)


@pytest.mark.parametrize("dataset", list(DatasetName))
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_broken_image_leaves_the_others_features_bitwise_as_they_are(dataset, value):
    extract, sound = extractor(dataset), images(dataset)
    broken = sound.clone()
    broken[2, 0, 3, 3] = value
    others = torch.tensor([0, 1, 3, 4])
    for a, b in zip(extract(sound), extract(broken), strict=True):
        assert torch.equal(a[others], b[others])


def test_loading_an_extractor_draws_nothing_from_the_global_stream():
    before = torch.random.get_rng_state()
    extractor("digits")
    assert torch.equal(before, torch.random.get_rng_state())


def test_features_tell_digits_apart():
    # nearest class mean in feature space, learnt from one half and tried on the other
    digits = load_dataset("digits")
    features, _ = extractor("digits")(digits.batch(torch.arange(len(digits.images))))
    even, odd = features[::2], features[1::2]
    means = torch.stack([even[digits.labels[::2] == k].mean(0) for k in range(10)])
    guesses = torch.cdist(odd, means).argmin(1)
    # 0.94; chance is 0.1
    assert (guesses == digits.labels[1::2]).double().mean() > 0.9
