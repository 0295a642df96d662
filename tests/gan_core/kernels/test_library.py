import importlib.util
import platform
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from gan_core.kernels import library as module
from gan_core.kernels.library import Instructions, best_instructions, library, why_absent

HAS_COMPILER = shutil.which("gcc") and platform.machine() == "x86_64"


@pytest.fixture
def afresh():
    for cached in (module._loaded, best_instructions):
        cached.cache_clear()
    yield
    for cached in (module._loaded, best_instructions):
        cached.cache_clear()


@pytest.mark.skipif(not HAS_COMPILER, reason="needs gcc on x86-64")
def test_it_is_built_where_there_is_a_compiler():
    assert library() is not None


@pytest.mark.skipif(library() is None, reason="gansweep was installed without a C compiler")
@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_the_processors_best_instructions_are_taken():
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    if {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= set(flags):
        is_bf16 = "avx512_bf16" in flags and "amx_bf16" not in flags
        expected = Instructions.AVX512_BF16 if is_bf16 else Instructions.AVX512
        assert best_instructions() is expected
    elif {"avx2", "fma"} <= set(flags):
        assert best_instructions() is Instructions.AVX2
    else:
        assert best_instructions() is Instructions.NONE


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "was not compiled: install gansweep again, with GCC"),
        (b"", "cannot be loaded"),
        (b"no library", "cannot be loaded"),
        (b"\x7fELF of another machine", "cannot be loaded"),
    ],
)
def test_what_is_not_there_or_cannot_be_loaded_is_done_without(
    afresh, monkeypatch, tmp_path, content, why
):
    found = None
    if content is not None:
        (tmp_path / "broken.so").write_bytes(content)
        found = SimpleNamespace(origin=str(tmp_path / "broken.so"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    assert library() is None
    assert why in why_absent()
    assert best_instructions() is Instructions.NONE


@pytest.mark.skipif(library() is None, reason="gansweep was installed without a C compiler")
def test_what_was_built_of_other_sources_is_done_without(afresh, monkeypatch):
    assert why_absent() is None
    module._loaded.cache_clear()
    monkeypatch.setattr(module, "_VERSION", module._VERSION + 1)
    assert library() is None
    assert "of other sources: install gansweep again" in why_absent()
