"""A sweep with pictures, for every tracker alike."""

import io

import pytest
from PIL import Image

from analysis.schema import SAMPLES

TRIALS = 3


def png(grey: int) -> bytes:
    """A grid of one shade."""
    file = io.BytesIO()
    Image.new("L", (24, 16), grey).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def sweep(writer):
    """Three trials of one seed, each with its own rate and picture."""
    writer.control()
    members = [
        writer.member(t, seed=t, rungs=4, hyperparameters={"lr_g": 10.0**-t}) for t in range(TRIALS)
    ]
    writer.members(*members)
    rows = [{**m.keys, "step": 400, "png": png(m.trial)} for m in members]
    writer.part("samples", rows, SAMPLES)
    return writer.load()
