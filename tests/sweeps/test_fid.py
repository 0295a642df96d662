import sys

import numpy as np
import pytest
import torch

from gan_core.config import CohortConfig, ConfigError, GanConfig
from gan_core.data import Dataset
from gan_core.export import MemberConfig, load_member, member_bytes
from gan_core.metrics.inception import inception_fid
from gan_core.sampling import evaluation_latents, generate
from sweeps.config_file import load_config
from sweeps.fid import measure, real_images
from sweeps.store import Store
from sweeps.weights import weights_name

LIBRARY = "torch_fidelity.feature_extractor_inceptionv3"


def numbered(n):
    data = torch.arange(n, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Dataset("npz", data, 255, None, ())


def test_real_images_are_the_same_at_random_and_each_at_most_once():
    chosen = real_images(numbered(100), 20)
    assert chosen.shape == (20, 1, 1, 1)
    assert len(chosen.unique()) == 20
    assert torch.equal(chosen, real_images(numbered(100), 40)[:20])
    assert not torch.equal(chosen.flatten(), chosen.flatten().sort().values)
    assert chosen.max() > real_images(numbered(50), 50).max()  # from everywhere
    assert len(real_images(numbered(7), 20).unique()) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("best", "--n", "1"), "--n = 1: must be >= 2"),
        (("4",), 'TRIAL = "4": its weights were not kept (pruned at step 10)'),
        (("best", "--weights", "none.pth"), '--weights = "none.pth": there is no such file'),
        (("best", "--weights", "."), '--weights = ".": there is no such file'),
        (("best",), '.pth": cannot be fetched (<urlopen error [Errno 2] No such file or dir'),
    ],
)
def test_a_mistake_is_one_line(run, small_sweep, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(f"{LIBRARY}.URL_INCEPTION_V3", f"file://{tmp_path}/offered.pth")
    code, out, err = run("fid", str(small_sweep), *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_without_the_extra_one_line_says_what_to_install(run, small_sweep, monkeypatch):
    for name in ("torch_fidelity", LIBRARY):
        monkeypatch.setitem(sys.modules, name, None)
    code, out, err = run("fid", str(small_sweep), "best")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.endswith('needs torch-fidelity: pip install "gansweep[inception]"\n')


ROW = {"trial": 0, "seed": 0, "status": "complete", "objective": 1.0, "steps": 1}


def test_points_have_none(tmp_path):
    config = MemberConfig(
        gan=GanConfig(latent_dim=4),
        cohort=CohortConfig(generator_widths=(8,), discriminator_widths=(8,)),
        sample_shape=(2,),
    )
    G, D = config.build()
    store = Store(tmp_path / "made")
    store.write_weights(0, 0, member_bytes(G.state_dict(), D.state_dict(), config))
    swept = load_config(None, ["data.dataset=ring8"])
    with pytest.raises(ConfigError, match="makes points, not images"):
        measure(swept, store, ROW, n=10, weights=None)


@pytest.mark.slow  # Inception on a CPU
def test_it_is_that_of_the_samples_it_was_judged_by_against_images_of_its_dataset(
    run, small_sweep, digits, inception_weights
):
    arguments = ("fid", str(small_sweep), "best", "--n", "4", "--weights", str(inception_weights))
    code, out, err = run(*arguments)
    assert (code, err.strip()) == (0, "")
    first, member, reservation = out.splitlines()
    G, _, config = load_member(small_sweep / weights_name(1, 3))
    samples = generate(G, config, evaluation_latents(config, 4))
    value = inception_fid(samples, real_images(digits, 4), weights=inception_weights)
    assert first == f"FID {value:.4g} of 4 samples against 4 real images of digits"
    assert member.startswith("trial 1 at seed 3, complete with ")
    assert reservation == (
        f"{inception_weights} is not the file of published FIDs: compare with none of them"
    )


@pytest.mark.slow  # Inception on a CPU
def test_of_fewer_real_images_all_are_taken(small_sweep, inception_weights, tmp_path):
    np.save(tmp_path / "images.npy", np.arange(4 * 64, dtype=np.uint8).reshape(4, 1, 8, 8))
    swept = load_config(None, ["data.dataset=npz", f"data.root={tmp_path}/images.npy"])
    row = ROW | {"trial": 1, "seed": 3}
    first, *_ = measure(swept, Store(small_sweep), row, n=5, weights=inception_weights)
    assert first.endswith(" of 5 samples against all 4 real images of npz")
