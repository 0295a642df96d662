import pytest

from benchmarks.machine import describe, has_bfloat16, processor


def test_a_processor_is_named_with_what_it_can_do():
    text = "processor\t: 0\ncpu family\t: 26\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f\n"
    assert processor(text) == "AMD EPYC (family 26, AVX2, AVX-512)"
    assert processor("") != ""


@pytest.mark.parametrize(
    ("flags", "is_there"),
    [
        ("fpu avx512f avx512_bf16", True),
        ("fpu amx_bf16 amx_tile", True),
        ("fpu avx2 avx512f", False),
        ("fpu amx_tile amx_int8", False),
    ],
)
def test_a_processor_multiplies_bfloat16_if_it_says_so(flags, is_there):
    assert has_bfloat16(f"processor\t: 0\nflags\t\t: {flags}\n") is is_there
    assert has_bfloat16("") is False


def test_a_run_is_described_without_a_gpu_unless_one_is_used():
    told = describe("cpu")
    assert told["gpu"] is None
    assert told["cores"] >= 1
    assert "torch" in told["versions"]
    assert len(told["commit"]) >= 7
