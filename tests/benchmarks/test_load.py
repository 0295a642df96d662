import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("encoding", ["zstd", "lz4"])
def test_the_benchmark_of_loading_prints_a_line_for_each_number_of_parts(encoding):
    command = "-m benchmarks.load --members 40 --rungs 6 --parts 2 6 --columns hq_share --encoding"
    done = subprocess.run(
        [sys.executable, *command.split(), encoding],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=400,
    )
    _, *lines = done.stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["2", "240", "7"], ["6", "240", "7"]]
