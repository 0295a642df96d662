from benchmarks.machine import describe, processor


def test_a_processor_is_named_with_what_it_can_do():
    text = "processor\t: 0\ncpu family\t: 26\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f\n"
    assert processor(text) == "AMD EPYC (family 26, AVX2, AVX-512)"
    assert processor("") != ""


def test_a_run_is_described_without_a_gpu_unless_one_is_used():
    told = describe("cpu")
    assert told["gpu"] is None
    assert told["cores"] >= 1
    assert "torch" in told["versions"]
    assert len(told["commit"]) >= 7
