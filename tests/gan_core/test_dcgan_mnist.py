"""A cohort of eight DCGANs on real MNIST: minutes of training."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig, Normalisation
from gan_core.data import load_dataset
from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator

DATA = Path(os.environ.get("GANSWEEP_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")

STATUS = Path("/proc/self/status")

# Of the whole process, torch and the dataset included; measured 1.1 GiB on a CPU.
MOST_BYTES = 2 * 2**30


def train():
    """Prints what the members are worth after training, and the peak memory of this process."""
    torch.set_num_threads(1)
    dataset = load_dataset("mnist", root=DATA)
    config = CohortConfig(architecture="dcgan", channels=32, latent_dim=64)
    cohort = Cohort(config, dataset.sample_shape, slots=8)
    members = cohort.admit(
        [
            GanConfig(seed=i, loss=loss, d_norm=norm, lr_g=5e-4, lr_d=5e-4)
            for i, (loss, norm) in enumerate(
                (loss, norm) for loss in ("nonsaturating", "hinge") for norm in Normalisation
            )
        ]
    )
    records = run_interval(cohort, dataset, 400)
    assert all(record.diverged_step is None for record in records)
    values = Evaluator(dataset, 1000)(cohort.generate(members, 1000)).values
    told = {name: values[name].tolist() for name in ("frechet_distance", "mode_entropy")}
    # `getrusage` would tell the parent's peak, which a child is begun with and keeps.
    used = 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)[1])
    sys.stdout.write(json.dumps(told | {"bytes": used}))


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no MNIST at {DATA}; set GANSWEEP_TEST_DATA")
@pytest.mark.skipif(not STATUS.exists(), reason="the kernel's /proc tells the peak memory")
def test_eight_dcgans_train_at_once_and_make_digits():
    # Peak memory is a process's, and this one has had other tests.
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    # Untrained generators are at 600 to 700. Pictures of members at 60 to 100 were looked at:
    # strokes that can be read as digits.
    assert median(found["frechet_distance"]) < 100
    assert min(found["frechet_distance"]) < 70
    assert median(found["mode_entropy"]) > 7
    assert found["bytes"] < MOST_BYTES


if __name__ == "__main__":
    train()
