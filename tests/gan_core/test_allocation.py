import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from gan_core.allocation import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(4_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
assert keep_freed_memory()
faults()
print(first, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's way")
def test_what_is_freed_is_not_cleared_again_by_the_kernel():
    # In a process of its own, for it cannot be taken back.
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    # Twenty times 16 MB are 78,000 pages of 4 KB, and still 160 of 2 MB.
    assert before > 100
    assert after < 20
