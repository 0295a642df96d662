import gzip
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_core.config import ConfigError
from gan_core.data import Dataset, load_dataset
from gan_core.datasets import DatasetName, check_dataset, sample_shape


@pytest.fixture(scope="session")
def mnist_root():
    """Where the real MNIST lies; without it the test is skipped."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = os.environ.get("GANSWEEP_TEST_DATA", beside)
    try:
        check_dataset("mnist", root, download=False)
    except ConfigError as error:
        pytest.skip(f"no MNIST; GANSWEEP_TEST_DATA may name its directory: {error}")
    return root


@pytest.fixture(scope="module", params=list(DatasetName))
def dataset(request):
    root = request.getfixturevalue("mnist_root") if request.param == DatasetName.MNIST else None
    return load_dataset(request.param, root=root)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_pixel_value_becomes_the_nearest_float_to_2x_over_levels_minus_1(dataset, dtype):
    values = torch.arange(dataset.levels + 1, dtype=torch.uint8).view(-1, 1, 1, 1)
    ramp = Dataset("ramp", values, dataset.levels, None, ())
    pixels = ramp.batch(torch.arange(len(values)), dtype).flatten()
    exact = np.arange(dataset.levels + 1, dtype=np.longdouble) * 2 / dataset.levels - 1
    assert pixels[0] == -1
    assert pixels[-1] == 1
    # the factor 1 / levels and the product are each rounded once
    assert np.abs(pixels.numpy() - exact).max() <= torch.finfo(dtype).eps
    assert torch.equal(pixels, -pixels.flip(0))


def test_images_are_bytes_that_span_the_levels(dataset):
    assert dataset.images.dtype == torch.uint8
    assert (dataset.images.min(), dataset.images.max()) == (0, dataset.levels)
    assert dataset.sample_shape == sample_shape(dataset.name) == tuple(dataset.images.shape[1:])


def test_labels_index_the_classes(dataset):
    assert dataset.labels.dtype == torch.int64
    assert dataset.labels.shape == dataset.images.shape[:1]
    assert dataset.labels.unique().tolist() == list(range(len(dataset.classes)))


def test_a_batch_has_the_shape_of_its_indices_and_holds_the_images_they_name(dataset):
    indices = torch.tensor([[5, 0, 5], [1, 2, len(dataset.images) - 1]])
    batch = dataset.batch(indices)
    assert batch.shape == (2, 3, *dataset.sample_shape)
    assert batch.dtype == torch.float32
    assert torch.equal(batch[0, 0], batch[0, 2])
    back = ((batch + 1) * dataset.levels / 2).round().to(torch.uint8)
    assert torch.equal(back, dataset.images[indices])
    assert torch.equal(dataset.batch(torch.tensor(2)), batch[1, 1])
    assert dataset.batch(torch.empty(0, dtype=torch.int64)).shape == (0, *dataset.sample_shape)


def test_digits_are_the_1797_images_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits = load_dataset("digits")
    assert digits.images.shape == (1797, 1, 8, 8)
    assert digits.levels == 16
    assert np.array_equal(digits.images[:, 0].numpy(), load_digits().images)
    assert digits.labels[:10].tolist() == list(range(10))


def test_mnist_is_the_train_split_unless_the_other_is_asked_for(mnist_root):
    mnist = load_dataset("mnist", root=mnist_root)
    assert mnist.images.shape == (60_000, 1, 28, 28)
    assert mnist.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # the train split's class counts, as LeCun's page and every tutorial print them
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.labels.bincount().tolist() == counts
    test = load_dataset("mnist", root=mnist_root, train=False)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_files_that_are_missing_are_refused_as_the_command_line_refuses_them(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.root = .*4 of 4 missing.*data\.download = true"):
        load_dataset("mnist", root=tmp_path)


def test_a_failed_download_is_one_quiet_line_and_leaves_nothing(tmp_path, monkeypatch, capfd):
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", [(tmp_path / "no-mirror").as_uri() + "/"])
    root = tmp_path / "data"
    with pytest.raises(ConfigError) as caught:
        load_dataset("mnist", root=root, download=True)
    assert caught.value.key == "data.root"
    assert "could not be downloaded" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert list(root.iterdir()) == []


def test_a_download_lands_whole_in_the_root_and_is_not_repeated(
    mnist_root, tmp_path, monkeypatch, capfd
):
    from torchvision.datasets import MNIST

    site = tmp_path / "site"
    site.mkdir()
    for file in Path(mnist_root, "MNIST", "raw").glob("*-ubyte"):
        with file.open("rb") as raw, gzip.open(site / f"{file.name}.gz", "wb", 0) as packed:
            shutil.copyfileobj(raw, packed)
    resources = [(name, None) for name, _ in MNIST.resources]  # the checksum is of LeCun's gzip
    monkeypatch.setattr(MNIST, "resources", resources)
    root = tmp_path / "new" / "data"
    with serve(site) as address:
        monkeypatch.setattr(MNIST, "mirrors", [address])
        load_dataset("mnist", root=root, download=True)
    again = load_dataset("mnist", root=root, download=True)  # nobody serves any more
    assert torch.equal(again.images, load_dataset("mnist", root=mnist_root).images)
    assert capfd.readouterr() == ("", "")
    assert [entry.name for entry in root.iterdir()] == ["MNIST"]


class serve:  # noqa: N801 - reads as a verb in the with statement
    def __init__(self, folder):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=folder)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_data_samples_and_metrics_work_without_the_packages_of_sweeps_and_analysis():
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"ray", "optuna", "pandas", "pyarrow", "analysis", "sweeps"}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
from gan_core.data import load_dataset
from gan_core.metrics.evaluate import Evaluator
from gan_core.samples import grid_png
digits = load_dataset("digits")
assert Evaluator(digits, 100).real.values["mode_kl"] < 1
assert grid_png(digits.batch(digits.labels[:4])).startswith(b"\\x89PNG")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    top = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, cwd=top, env=environment)
