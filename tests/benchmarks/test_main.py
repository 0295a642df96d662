import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.results import Results

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", "no"], "--cases: invalid choice: 'no'"),
        (["--repeats", "0"], "0: must be a whole number >= 1"),
        (["--root", "/nowhere"], "must hold MNIST/raw"),
        (["--add", "/nowhere.json"], "not a file of results"),
    ],
)
def test_a_mistake_is_told_in_a_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_help_says_who_is_measured_on_what_and_how(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(word in said for word in ("solo", "tutorial", "stock", "dcgan", "--quick", "--add"))


@pytest.mark.slow  # five Rays and nine processes with torch: two minutes on two cores
def test_the_smoke_measures_and_goes_on_with_its_file(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    # "sweeps" are made as "target" is, and are five Rays more.
    command += ["--cases", "digits", "--device", "cpu", "--figures", "rates", "target", "overhead"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    assert path.with_suffix(".md").read_text() == done.stdout
    results = Results.read(path)
    assert {r.key.figure for r in results.records} == {"rates", "target", "overhead"}
    again = subprocess.run(
        [*command, "--add", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert again.returncode == 0, again.stderr
    assert Results.read(path).records == results.records
