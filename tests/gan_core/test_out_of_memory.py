import pytest
import torch

from gan_core.config import ConfigError
from gan_core.out_of_memory import out_of_memory

HUGE = 2**45  # elements; no machine maps as much


def raised(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011 which it is, is what is asked
        call()
    return caught.value


def wrapped():
    try:
        torch.empty(HUGE)
    except RuntimeError as error:
        raise ConfigError("model.architecture", "nets:factory", "G fails") from error


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: bytearray(HUGE), "MemoryError"),
        (lambda: torch.empty(HUGE), "RuntimeError: "),
        (wrapped, "RuntimeError: "),
    ],
)
def test_what_python_and_torch_raise_for_want_of_memory_is_one_line(call, expected):
    reason = out_of_memory(raised(call))
    assert reason.startswith(expected)
    assert len(reason.splitlines()) == 1
    assert len(reason) < 200


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_a_full_device_is_recognised(error):
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "call",
    [lambda: torch.ones(2) @ torch.ones(3), lambda: {}["memory"], lambda: int("out of memory")],
)
def test_other_errors_are_not_of_memory(call):
    assert out_of_memory(raised(call)) is None
