import os
from pathlib import Path

import pytest

from gan_core.config import ConfigError
from gan_core.datasets import check_dataset


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


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """What is made at first use goes where no other test sees it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
