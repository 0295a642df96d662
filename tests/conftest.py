"""What is set before any test module imports torch, and what tests of two packages share."""

import os
import shutil
import signal

import pytest

# Two tests run at once, and OpenMP threads of several processes on busy cores run up to 10x slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What was begun in the background ignores Ctrl-C, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory):
    """A file of random weights for Inception in torch-fidelity's layout; the real ones are 96 MB
    that would have to be fetched."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            """Keeps the weights that it was built with."""

    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save({}, file)
    torch.manual_seed(0)
    network = Untrained("untrained", ["2048"], feature_extractor_weights_path=str(file))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            # PyTorch's own would shrink what passes to 1e-9.
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture(scope="session")
def browser():
    """The Chromium that is installed; without one the test is skipped."""
    api = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        pytest.skip("no chromium on this machine, which these tests drive")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def one_thread():
    """As a sweep's workers have; bitwise equality is promised for one alone."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
