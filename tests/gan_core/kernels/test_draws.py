import pytest
import torch

from gan_core.config import Noise
from gan_core.kernels import draws
from gan_core.noise import latents

MEMBERS = 5
KEYS = torch.tensor([0, -1, 2**63 - 1, -(2**63), 1234567])


def drawn(rows, columns, lengths):
    return latents(KEYS, rows, columns, noise=Noise.NORMAL, lengths=lengths, dtype=torch.float32)


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (3, 5), (7, 1), (13, 17), (64, 64), (2, 70000)]
)
def test_normals_are_bitwise_those_of_tensor_operations(monkeypatch, rows, columns):
    lengths = torch.tensor([columns, 1, 2, columns // 2, columns]).clamp(max=columns)
    assert draws.is_suited(KEYS, torch.float32)
    ours = drawn(rows, columns, lengths)
    monkeypatch.setattr(draws, "is_suited", lambda *_: False)
    theirs = drawn(rows, columns, lengths)
    assert torch.equal(ours, theirs)
    assert ours.shape == (MEMBERS, rows, columns)
    assert ours[1].flatten().count_nonzero() == rows


def test_other_types_are_not_suited():
    assert not draws.is_suited(KEYS, torch.float64)
    assert not draws.is_suited(KEYS.to("meta"), torch.float32)


@pytest.mark.parametrize("default", [{"dtype": torch.float64}, {"device": "meta"}])
def test_torchs_defaults_are_nothing_to_it(default):
    lengths = torch.full((MEMBERS,), 5)
    expected = drawn(3, 5, lengths)
    try:
        torch.set_default_dtype(default.get("dtype", torch.float32))
        torch.set_default_device(default.get("device"))
        made = latents(KEYS, 3, 5, noise=Noise.NORMAL, lengths=lengths, dtype=torch.float32)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert made.dtype == torch.float32
    assert torch.equal(made, expected)
