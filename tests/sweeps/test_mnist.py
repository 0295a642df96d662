"""The whole command on real MNIST: minutes of training."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

DATA = Path(os.environ.get("GANSWEEP_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no MNIST at {DATA}; set GANSWEEP_TEST_DATA")
def test_a_sweep_of_mnist_ends_with_digits_that_can_be_recognised(tmp_path):
    gansweep = [sys.executable, "-m", "sweeps"]
    subprocess.run([*gansweep, "init", "--preset", "mnist"], cwd=tmp_path, check=True)
    small = ["--trials", "16", "--name", "mnist", "--set", f"data.root={DATA}"]
    subprocess.run([*gansweep, "run", "sweep.toml", *small], cwd=tmp_path, check=True)

    directory = tmp_path / "runs" / "mnist"
    trials = pd.read_parquet(directory / "trials")
    assert len(trials) == 32
    complete = trials[trials["status"] == "complete"].sort_values("trial_objective")
    best = complete[complete["trial"] == complete["trial"].iloc[0]]
    control = pd.read_parquet(directory / "control").set_index("kind")
    # Pictures with these numbers were looked at: strokes of all ten digits, with some specks.
    untrained = control.loc["untrained", "frechet_distance"]
    assert (best["final_frechet_distance"] < 0.15 * untrained).all()
    assert (best["final_mode_entropy"] > 8).all()
    assert best["final_feature_spread"].between(0.7, 1.2).all()

    samples = pd.read_parquet(directory / "samples")
    grids = samples[samples["trial"] == best["trial"].iloc[0]]
    assert len(grids) == 2
    for png in grids["png"]:
        image = Image.open(io.BytesIO(png))
        assert min(image.size) >= 8 * 28  # 64 digits, large enough to see
