import io
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

import sweeps.progress
from sweeps.progress import Display, Eta, StepRate

PACKAGES_HOME = Path(sweeps.progress.__file__).parents[1]


@dataclass(frozen=True)
class Status:
    total: int = 100
    complete: int = 0
    pruned: int = 0
    diverged: int = 0
    failed: int = 0
    running: int = 0
    begun: float = 0.0
    best_trial: int | None = None
    best_value: float | None = None
    member_steps: int = 0


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


MIDWAY = Status(
    complete=20, pruned=9, diverged=4, failed=1, running=12, best_trial=17, best_value=3.21437,
    member_steps=600_000,
)  # fmt: skip


def plain_display(clock, **settings):
    file = io.StringIO()
    console = Console(file=file, force_terminal=False)
    return Display(100, console, objective="mode_kl", clock=clock, **settings), file


def rendered(width, statuses, step_s=60.0):
    clock = Clock()
    console = Console(width=width, file=io.StringIO(), force_terminal=True, record=True)
    display = Display(100, console, objective="frechet_distance", clock=clock)
    for status in statuses:
        display.update(status)
        clock.now += step_s
    clock.now -= step_s if statuses else 0
    console.file = io.StringIO()
    console.export_text()  # forgets the plain lines, since no live display was begun
    console.print(display.render())
    return console.export_text().splitlines()


def test_a_plain_line_tells_everything():
    clock = Clock()
    display, file = plain_display(clock)
    with display:
        display.update(Status(running=12))
        clock.now += 60
        display.update(MIDWAY)
    assert file.getvalue().splitlines() == [
        "0 of 100 trials: 0 complete, 12 running, 0 pruned, 0 diverged, 0 failed; "
        "0:00:00 elapsed, time left unknown",
        "34 of 100 trials: 20 complete, 12 running, 9 pruned, 4 diverged, 1 failed; "
        "0:01:00 elapsed, about 0:01:56 left, 10,000 member-steps/s, best mode_kl 3.214 (trial 17)",
    ]


def test_plain_lines_come_every_few_seconds_and_once_at_the_end():
    clock = Clock()
    display, file = plain_display(clock, interval_s=5.0)
    with display:
        for second in range(13):
            display.update(Status(complete=second))
            clock.now += 1
    numbers = [int(line.split()[0]) for line in file.getvalue().splitlines()]
    assert numbers == [0, 5, 10, 12]


def test_a_state_that_was_shown_is_not_shown_again_at_the_end():
    display, file = plain_display(Clock())
    with display:
        display.update(Status())
    assert file.getvalue().count("\n") == 1


def test_nothing_is_written_when_nothing_was_told():
    display, file = plain_display(Clock())
    with display:
        pass
    assert file.getvalue() == ""


def test_the_whole_state_fits_any_width():
    for width in (20, 40, 80, 120):
        lines = rendered(width, [Status(), MIDWAY])
        assert all(len(line) <= width for line in lines)
    at_40 = rendered(40, [Status(), MIDWAY])
    assert at_40[0].endswith("34/100 trials")
    assert at_40[1:] == [
        "20 complete  12 running  9 pruned",
        "4 diverged  1 failed",
        "0:01:00 elapsed  about 0:01:56 left",
        "10,000 member-steps/s",
        "best frechet_distance 3.214 (trial 17)",
    ]
    assert len(rendered(120, [Status(), MIDWAY])) == 3


def test_before_the_first_status_it_says_that_it_starts():
    assert rendered(80, [])[1] == "starting, 0:00:00"


@pytest.mark.parametrize("total", [0, 1])
def test_tiny_sweeps_can_be_shown(total):
    done = Status(total=total, complete=total)
    assert rendered(80, [done])[0].endswith(f"{total}/{total} trials")


def test_the_rate_is_the_recent_one():
    rate = StepRate(window_s=60)
    steps = 0
    for second in range(0, 600, 10):
        steps += 1000 if second < 300 else 50
        rate.observe(second, steps)
    assert rate.per_second(590) == pytest.approx(5)


def test_the_rate_does_not_swing_between_lumps():
    rate = StepRate(window_s=60)
    for lump in range(8):
        rate.observe(lump * 10, lump * 500)
    assert {rate.per_second(70 + wait) for wait in (0, 3, 9, 15)} == {50}


def test_the_rate_falls_when_no_steps_come():
    rate = StepRate(window_s=60)
    rate.observe(0, 0)
    rate.observe(10, 1000)
    assert rate.per_second(15) == 100
    assert rate.per_second(100) == 10


def test_lumps_further_apart_than_the_window_still_give_a_rate():
    rate = StepRate(window_s=60)
    for lump in range(5):
        rate.observe(lump * 300, lump * 3000)
    assert rate.per_second(1300) == 10


def test_the_rate_is_unknown_before_the_second_lump_and_ignores_earlier_runs():
    rate = StepRate()
    assert rate.per_second(0) is None
    rate.observe(0, 1_000_000)
    assert rate.per_second(5) is None
    rate.observe(10, 1_000_500)
    assert rate.per_second(10) == 50


def test_the_rate_is_never_negative_though_an_owner_that_began_again_counts_anew():
    rate = StepRate(window_s=60)
    rate.observe(0, 0)
    rate.observe(10, 1000)
    for now, steps in ((12, 0), (14, 400), (15, 1000)):
        rate.observe(now, steps)
    assert rate.per_second(15) == 100
    rate.observe(20, 2000)
    assert rate.per_second(20) == 100
    rate.observe(90, 50)
    assert rate.per_second(90) is None
    rate.observe(100, 550)
    assert rate.per_second(100) == 50


def test_time_left_is_unknown_before_the_first_trial_finishes():
    eta = Eta()
    assert eta.left(0, 100) is None
    eta.observe(0, 0)
    eta.observe(50, 0)
    assert eta.left(50, 100) is None


def test_time_left_counts_down_from_the_last_that_finished():
    eta = Eta()
    eta.observe(0, 0)
    eta.observe(100, 10)
    assert eta.left(100, 40) == 300
    eta.observe(150, 10)
    assert eta.left(150, 40) == 250


def test_time_left_is_taken_anew_when_it_is_up_and_trials_are_left():
    eta = Eta()
    eta.observe(0, 0)
    eta.observe(100, 10)
    assert eta.left(500, 20) == 500


def test_trials_of_earlier_runs_do_not_shorten_the_time_left():
    eta = Eta()
    eta.observe(0, 90)
    assert eta.left(0, 100) is None
    eta.observe(60, 91)
    assert eta.left(60, 100) == 9 * 60


def test_when_all_have_finished_no_time_is_left():
    eta = Eta()
    eta.observe(0, 100)
    assert eta.left(7, 100) == 0
    assert "left" not in " ".join(rendered(80, [Status(complete=100)]))


SCRIPT = """
import sys, time
from types import SimpleNamespace
from sweeps.progress import Display
status = dict(total=4, complete=1, pruned=0, diverged=0, failed=0, running=3,
              best_trial=0, best_value=1.5, member_steps=10, begun=0.0)
with Display(4) as display:
    for complete in (1, 2, 3):
        display.update(SimpleNamespace(**status | {"complete": complete}))
        time.sleep(0.3)
    if sys.argv[1:] == ["raise"]:
        raise KeyboardInterrupt
"""


def run_in_terminal(*arguments):
    """What a real terminal gets."""
    terminal, inside = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(PACKAGES_HOME), "COLUMNS": "80"}
    environment |= {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", SCRIPT, *arguments]
    child = subprocess.Popen(command, env=environment, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    output = b""
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # how Linux says that nobody holds the other side any more
            break
        if not chunk:
            break
        output += chunk
    os.close(terminal)
    child.wait(timeout=400)
    return output.decode()


@pytest.mark.parametrize("arguments", [(), ("raise",)])
def test_on_a_terminal_it_redraws_in_place_and_gives_the_cursor_back(arguments):
    output = run_in_terminal(*arguments)
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert output.count(hidden) == output.count(shown) == 1
    assert "\x1b[1A" in output  # up a line: it draws over itself
    last_frame = output[: output.index(shown)].rpartition("/4 trials")
    assert last_frame[0].endswith("3")
    assert "best objective 1.5 (trial 0)" in last_frame[2]


def test_in_a_pipe_there_are_no_control_characters_and_nothing_on_standard_output():
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")
    }
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment | {"PYTHONPATH": str(PACKAGES_HOME)},
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    assert run.stdout == ""
    assert run.stderr.isascii()
    assert [line.split()[0] for line in run.stderr.splitlines()] == ["1", "3"]
    assert not [char for char in run.stderr if ord(char) < 32 and char != "\n"]


def test_any_object_with_the_fields_is_a_status():
    display, file = plain_display(Clock())
    with display:
        display.update(replace(MIDWAY, total=50))
    assert file.getvalue().startswith("34 of 50 trials")


def test_trials_in_training_count_by_the_share_of_their_steps():
    clock = Clock()
    display, file = plain_display(clock)
    display.update(Status(running=100))
    clock.now += 60
    display.update(Status(running=100, begun=25.0, member_steps=1))
    first, second = file.getvalue().splitlines()
    assert "trained" not in first
    assert "time left unknown" in first
    assert "25% trained, 0:01:00 elapsed, about 0:03:00 left" in second
    assert "0 of 100 trials" in second
