import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset as TorchDataset

from gan_core.config import ConfigError
from gan_core.data import Dataset
from gan_core.metrics import inception
from gan_core.metrics.frechet import Reference, frechet_distance, moments
from gan_core.metrics.inception import PUBLISHED_SHA256, Inception, inception_fid

HOME = Path(__file__).resolve().parents[3]
LIBRARY = "torch_fidelity.feature_extractor_inceptionv3"


def pixels(n, channels=3, size=8, seed=0):
    """[n, channels, size, size], uint8, of all values."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), generator=random, dtype=torch.uint8)


def floats(data):
    """As GANs are shown them."""
    return Dataset("npz", data, 255, None, ()).batch(torch.arange(len(data)))


class Bytes(TorchDataset):
    """What torch-fidelity takes."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index]


# --- without the network


@pytest.mark.parametrize("n", [1000, 60])  # 60 images leave the covariance singular
def test_the_distance_is_torch_fidelitys_on_the_same_features(n):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    # As pooled and rectified features are: not negative, most of them small.
    random = torch.Generator().manual_seed(0)
    mix = torch.randn(128, 128, generator=random) * torch.logspace(0, -3, 128)[:, None]
    sets = [(torch.randn(n, 128, generator=random) @ mix + shift).relu() for shift in (0, 0.1)]
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, sets), verbose=False)
    ours = frechet_distance(moments(sets[0]), Reference(moments(sets[1]))).item()
    # They take the mean in float32.
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


def test_without_torch_fidelity_one_line_says_what_to_install(monkeypatch):
    for name in ("torch_fidelity", LIBRARY):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"torch-fidelity: pip install \"gansweep\[inception\]\""):
        inception_fid(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8))


class Trap:
    def __reduce__(self):
        return os.abort, ()


def test_a_file_that_is_none_is_refused_and_nothing_in_it_is_run(tmp_path):
    file = tmp_path / "weights.pth"
    with pytest.raises(ConfigError, match="there is no such file"):
        Inception(file)
    for content in (b"", b"hello world", pickle.dumps({"conv": Trap()})):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="holds no Inception v3") as refused:
            Inception(file)
        assert str(refused.value).count("\n") == 0
    for state in ({"conv": torch.zeros(3)}, [1], {"conv": Trap()}):
        torch.save(state, file)
        with pytest.raises(ConfigError, match="holds no Inception v3"):
            Inception(file)


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """Where the weights are fetched from; they are kept in tmp_path / "hub"."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(f"{LIBRARY}.URL_INCEPTION_V3", f"file://{tmp_path}/offered.pth")
    return tmp_path / "offered.pth"


@pytest.mark.parametrize("content", [None, b"what a captive portal says"])
def test_what_cannot_be_fetched_or_is_not_the_published_file_is_one_line_and_leaves_nothing(
    offered, content, tmp_path, capfd
):
    if content is not None:
        offered.write_bytes(content)
    with pytest.raises(ConfigError, match=r"offered\.pth\": cannot be fetched \(.*name it") as bad:
        Inception()
    assert str(bad.value).count("\n") == 0
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []
    assert capfd.readouterr() == ("", "")


# --- with it


@pytest.fixture(scope="session")
def network(inception_weights):
    return Inception(inception_weights)


@pytest.mark.slow  # Inception on a CPU
def test_it_is_the_number_that_torch_fidelity_itself_gives(inception_weights):
    import torch_fidelity

    sets = pixels(8), pixels(6, seed=1) // 2
    theirs = torch_fidelity.calculate_metrics(
        input1=Bytes(sets[0]),
        input2=Bytes(sets[1]),
        fid=True,
        feature_extractor_weights_path=str(inception_weights),
        cuda=False,
        batch_size=4,
        save_cpu_ram=True,
        verbose=False,
    )["frechet_inception_distance"]
    ours = inception_fid(*map(floats, sets), weights=inception_weights, batch_size=5)
    assert theirs > 0
    # Inception in float32, in other batches.
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow  # Inception on a CPU
def test_it_is_0_for_the_same_images_and_the_same_both_ways(network):
    one, other = floats(pixels(4)), floats(pixels(3, seed=1) // 2)
    there, back = network.fid(one, other), network.fid(other, one)
    assert there == pytest.approx(back, rel=1e-6)
    assert network.fid(one, one) < 1e-6 * there


@pytest.mark.slow  # Inception on a CPU
def test_gray_images_are_seen_as_equal_channels_and_broken_ones_as_nan(network):
    gray = floats(pixels(3, channels=1))
    seen, batches = network.features(gray, batch_size=3), []
    assert seen.shape == (3, 2048)
    assert seen.dtype == torch.float32
    assert (seen.std(0) > 0).any()
    assert torch.equal(seen, network.features(gray.tile(1, 3, 1, 1), on_batch=batches.append))
    assert batches == [3]
    assert torch.equal(seen, network.features(gray.double() * 1.0001))  # no byte is another
    gray[1, 0, 2, 3] = math.inf
    broken = network.features(gray)
    assert broken[1].isnan().all()
    assert torch.equal(broken[[0, 2]], seen[[0, 2]])
    assert math.isnan(network.fid(gray, gray))


@pytest.mark.slow  # Inception on a CPU
def test_what_is_no_set_of_images_is_refused(network):
    for images in (torch.zeros(4, 2), torch.zeros(4, 2, 8, 8)):
        with pytest.raises(ConfigError, match=r"images = .*: must be "):
            network.fid(images, images)
    with pytest.raises(ConfigError, match="real = 1: must be at least 2 images"):
        network.fid(torch.zeros(2, 1, 8, 8), torch.zeros(1, 1, 8, 8))


@pytest.mark.slow  # 96 MB are hashed and read some times
def test_the_published_file_is_fetched_once_and_known(
    inception_weights, offered, tmp_path, monkeypatch
):
    import hashlib

    assert not Inception(inception_weights).is_published
    content = inception_weights.read_bytes()
    monkeypatch.setattr(inception, "PUBLISHED_SHA256", hashlib.sha256(content).hexdigest())
    offered.write_bytes(content)
    assert Inception().is_published
    kept = tmp_path / "hub" / "checkpoints" / "offered.pth"
    assert kept.read_bytes() == content
    offered.unlink()
    assert Inception().is_published
    kept.write_bytes(content[:-100])
    with pytest.raises(ConfigError, match=f"{kept}.*holds no Inception"):
        Inception()


def test_the_published_hash_is_that_of_the_files_name():
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert URL_INCEPTION_V3.endswith(f"-{PUBLISHED_SHA256[:8]}.pth")


@pytest.mark.slow  # a fresh interpreter imports PyTorch
def test_without_the_extra_everything_else_goes_on(tmp_path):
    program = """
import sys
sys.modules["torch_fidelity"] = None
from gan_core.config import ConfigError
from gan_core.metrics import evaluate, inception
try:
    inception.Inception()
except ConfigError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout == (
        'features = "inception": needs torch-fidelity: pip install "gansweep[inception]"\n'
    )
