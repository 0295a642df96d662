import dataclasses
import functools
import gzip
import hashlib
import http.server
import pickle
import tarfile
import threading

import numpy as np
import pytest
import torch

from gan_core.config import ConfigError
from gan_core.datasets import PUBLISHED_FILES, DatasetName
from gan_core.published import read_published

IDX = [DatasetName.MNIST, DatasetName.FASHION_MNIST, DatasetName.KMNIST]
TRAIN, TEST = 30, 20
RANDOM = np.random.default_rng(0)
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def idx(array):
    """The IDX format of LeCun's page."""
    header = bytes([0, 0, 8, array.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def put_idx(files, root):
    """Few random images in the layout of MNIST."""
    (root / files.folder).mkdir(parents=True)
    arrays = {}
    for split, n in (("train", TRAIN), ("t10k", TEST)):
        images = RANDOM.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        (root / files.folder / f"{split}-images-idx3-ubyte").write_bytes(idx(images))
        (root / files.folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels))
        arrays[split] = images, labels
    return arrays["train"], arrays["t10k"]


def put_cifar(files, root):
    """Few random images in the layout of CIFAR-10; checksums by file."""
    folder = root / files.folder
    folder.mkdir(parents=True)
    arrays = {}
    for name in BATCHES:
        data = RANDOM.integers(0, 256, (files.batch_images, 3 * 32 * 32), dtype=np.uint8)
        labels = (np.arange(len(data)) % 10).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels}))
        arrays[name] = data.reshape(-1, 3, 32, 32), labels
    meta = {"label_names": ["airplane"] * 10}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    return arrays


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """The published sizes are another test's; here torchvision's readers are wanted."""
    for name, files in PUBLISHED_FILES.items():
        change = {"batch_images": 12} if name == "cifar10" else {"train": TRAIN, "test": TEST}
        monkeypatch.setitem(PUBLISHED_FILES, name, dataclasses.replace(files, **change))


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """(root, arrays): CIFAR-10 with checksums that torchvision will find right."""
    from torchvision.datasets import CIFAR10

    files = PUBLISHED_FILES[DatasetName.CIFAR10]
    arrays = put_cifar(files, tmp_path)

    def checksum(name):
        return hashlib.md5((tmp_path / files.folder / name).read_bytes()).hexdigest()

    monkeypatch.setattr(CIFAR10, "train_list", [[name, checksum(name)] for name in BATCHES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", checksum("test_batch")]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": checksum("batches.meta")})
    return tmp_path, arrays


def read(name, root, *, download=False, train=True):
    return read_published(DatasetName(name), root, download=download, train=train)


@pytest.mark.parametrize("name", IDX)
def test_idx_files_give_the_split_that_is_asked_for(name, tmp_path):
    splits = put_idx(PUBLISHED_FILES[name], tmp_path)
    for train, (expected, expected_labels) in zip((True, False), splits, strict=True):
        images, labels = read(name, tmp_path, train=train)
        assert images.dtype == torch.uint8
        assert np.array_equal(images[:, 0].numpy(), expected)
        assert labels.dtype == torch.int64
        assert np.array_equal(labels.numpy(), expected_labels)


def test_cifars_batches_follow_each_other_with_channels_first(cifar):
    root, arrays = cifar
    images, labels = read("cifar10", root)
    assert images.dtype == torch.uint8
    assert images.is_contiguous()
    expected = np.concatenate([arrays[name][0] for name in BATCHES[:5]])
    assert np.array_equal(images.numpy(), expected)
    assert labels.tolist() == [label for name in BATCHES[:5] for label in arrays[name][1]]
    images, _ = read("cifar10", root, train=False)
    assert np.array_equal(images.numpy(), arrays["test_batch"][0])


def test_a_pickle_with_another_checksum_is_refused_unopened(cifar):
    root, _ = cifar
    path = root / "cifar-10-batches-py" / "data_batch_2"
    trap = root / "opened"
    content = f"cposix\nsystem\n(S'touch {trap}'\ntR.".encode()
    path.write_bytes(content.ljust(12 * 3072, b"\n"))
    with pytest.raises(ConfigError) as caught:
        read("cifar10", root)
    assert (caught.value.key, caught.value.value) == ("data.root", str(root))
    assert "cifar-10-batches-py: files are damaged: delete them" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not trap.exists()


def no_mirror(name, tmp_path, monkeypatch):
    from torchvision import datasets

    address = (tmp_path / "no-mirror").as_uri() + "/"
    if name == DatasetName.CIFAR10:
        monkeypatch.setattr(datasets.CIFAR10, "url", address + "cifar-10-python.tar.gz")
    for kind in (datasets.MNIST, datasets.FashionMNIST, datasets.KMNIST):
        monkeypatch.setattr(kind, "mirrors", [address])


@pytest.mark.parametrize("name", [*IDX, DatasetName.CIFAR10])
def test_a_failed_download_is_one_quiet_line_and_leaves_nothing(name, tmp_path, monkeypatch, capfd):
    no_mirror(name, tmp_path, monkeypatch)
    root = tmp_path / "data"
    with pytest.raises(ConfigError) as caught:
        read(name, root, download=True)
    assert caught.value.key == "data.root"
    assert f"{name} could not be downloaded" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", IDX)
def test_a_download_lands_whole_in_the_root_and_is_not_repeated(name, tmp_path, monkeypatch, capfd):
    from gan_core.published import _reader

    (train, _), _ = put_idx(PUBLISHED_FILES[name], tmp_path / "theirs")
    site = tmp_path / "site"
    site.mkdir()
    for file in (tmp_path / "theirs").rglob("*-ubyte"):
        (site / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    kind = _reader(name)
    # the published checksums are of the published files
    monkeypatch.setattr(kind, "resources", [(file, None) for file, _ in kind.resources])
    root = tmp_path / "new" / "data"
    with serve(site) as address:
        monkeypatch.setattr(kind, "mirrors", [address])
        read(name, root, download=True)
    images, _ = read(name, root, download=True)  # nobody serves any more
    assert np.array_equal(images[:, 0].numpy(), train)
    assert capfd.readouterr() == ("", "")
    assert [entry.name for entry in root.iterdir()] == [PUBLISHED_FILES[name].folder.parts[0]]


def test_cifars_archive_is_unpacked_and_not_kept(cifar, tmp_path, monkeypatch, capfd):
    from torchvision.datasets import CIFAR10

    theirs, arrays = cifar
    site = tmp_path / "site"
    site.mkdir()
    with tarfile.open(site / "cifar-10-python.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(theirs / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(CIFAR10, "tgz_md5", None)
    root = tmp_path / "data"
    with serve(site) as address:
        monkeypatch.setattr(CIFAR10, "url", address + "cifar-10-python.tar.gz")
        images, _ = read("cifar10", root, download=True)
    assert np.array_equal(images[:12].numpy(), arrays["data_batch_1"][0])
    assert capfd.readouterr() == ("", "")
    assert [entry.name for entry in root.iterdir()] == ["cifar-10-batches-py"]


class serve:  # noqa: N801 - reads as a verb in the with statement
    def __init__(self, folder):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        handler = functools.partial(Quiet, directory=folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
