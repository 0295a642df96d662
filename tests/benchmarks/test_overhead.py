import importlib
import runpy
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

from benchmarks.overhead import SHARES, shares

STOPWATCH = Path(__file__).parents[2] / "benchmarks" / "stopwatch"


def test_the_time_of_a_worker_is_told_apart_to_the_last_second():
    rungs = [("rung", 10.0, 30.0), ("rung", 32.0, 52.0)]
    inside = [("training", 10.0, 25.0), ("evaluation", 25.0, 28.0), ("storage", 28.0, 29.0)]
    inside += [("training", 32.0, 50.0)]
    found = shares([rungs + inside], 0.0, 100.0)
    assert found == pytest.approx(
        {"training": 0.33, "evaluation": 0.03, "storage": 0.01, "exchange": 0.03,
         "between": 0.02, "start": 0.10, "end": 0.48}
    )  # fmt: skip
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == set(SHARES)


def test_workers_share_the_time_and_one_that_did_nothing_is_none():
    busy = [("rung", 0.0, 10.0), ("training", 0.0, 10.0)]
    late = [("rung", 5.0, 10.0), ("training", 5.0, 10.0)]
    idle = [("evaluation", 1.0, 2.0)]
    assert shares([busy, late, idle], 0.0, 10.0)["training"] == pytest.approx(0.75)


def test_notes_without_a_rung_are_refused():
    with pytest.raises(ValueError, match="was not timed"):
        shares([[("training", 0.0, 1.0)]], 0.0, 1.0)


def test_what_the_stopwatch_times_is_there():
    timed = runpy.run_path(str(STOPWATCH / "sitecustomize.py"))["TIMED"]
    for module, names in timed.items():
        loaded = importlib.import_module(module)
        for path in names:
            assert callable(reduce(getattr, path.split("."), loaded))
        assert {*names.values()} <= {*SHARES, "rung"}


def test_a_process_notes_what_it_times_and_no_other_is_touched(tmp_path):
    program = "import json.decoder, sys; print('sitecustomize' in sys.modules)"
    environment = {"PYTHONPATH": str(STOPWATCH), "GANSWEEP_STOPWATCH": str(tmp_path)}
    timing = (STOPWATCH / "sitecustomize.py").read_text()
    own = tmp_path / "own"
    own.mkdir()
    patched = timing.replace('"gan_core.loop": {"run_interval": ', '"slow": {"work": ')
    assert patched != timing
    (own / "sitecustomize.py").write_text(patched)
    (own / "slow.py").write_text("def work(): return 5")
    notes = tmp_path / "notes"
    notes.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "import slow; print(slow.work())"],
        env={"PYTHONPATH": str(own), "GANSWEEP_STOPWATCH": str(notes)},
        capture_output=True, text=True, check=True, timeout=400,
    )  # fmt: skip
    assert done.stdout == "5\n"
    (line,) = next(notes.iterdir()).read_text().splitlines()
    name, begin, end = line.split()
    assert name == "training"
    assert float(begin) <= float(end)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=400)
    assert {path.name for path in tmp_path.iterdir()} == {"own", "notes"}
