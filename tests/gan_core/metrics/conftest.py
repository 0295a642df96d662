import os
from pathlib import Path

import pytest
import torch

from gan_core.config import ConfigError
from gan_core.data import load_dataset
from gan_core.datasets import check_dataset
from gan_core.metrics.features import extractor


@pytest.fixture(scope="session")
def mnist_root():
    """Where the real MNIST lies; without it the test is skipped."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    root = os.environ.get("GANSWEEP_TEST_DATA", beside)
    try:
        check_dataset("mnist", root, download=False)
    except ConfigError as error:
        pytest.skip(f"no MNIST; GANSWEEP_TEST_DATA may name its directory: {error}")
    return root


@pytest.fixture(scope="session")
def mnist(mnist_root):
    """The images that GANs are trained on."""
    return load_dataset("mnist", root=mnist_root)


@pytest.fixture(scope="session")
def mnist_features(mnist):
    """The classifier's features of 20,000 images in random order, [20000, 64]."""
    order = torch.randperm(len(mnist), generator=torch.Generator().manual_seed(0))
    return extractor(mnist)(mnist.batch(order[:20_000]))[0]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """What is made at first use goes where no other test sees it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
