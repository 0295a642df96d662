import subprocess
import sys

import pytest

from sweeps.protocol import StudyStatus


def status(**changes):
    values = dict.fromkeys(("complete", "pruned", "diverged", "failed", "running", "workers"), 0)
    values |= {"total": 4, "best_trial": None, "best_value": None, "member_steps": 0, "begun": 0.0}
    return StudyStatus(**(values | {"stopping": False} | changes))


@pytest.mark.parametrize("module", ["protocol", "settings", "objective"])
def test_what_workers_and_configs_import_is_free_of_the_heavy_libraries(module):
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import sweeps.{module}
print(*sorted({{"optuna", "ray", "torch", "pandas"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_sweep_is_done_when_every_trial_ended_in_whatever_way():
    ended = {"complete": 1, "pruned": 1, "diverged": 1, "failed": 1}
    assert status(**ended).done
    assert status(**ended).finished == 4
    assert not status(**ended, running=1).done
    assert not status(**(ended | {"failed": 0})).done
