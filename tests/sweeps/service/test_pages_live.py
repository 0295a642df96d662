"""A person in front of a browser, and a service with a Ray of its own.

Slow: a Ray with its dashboard takes ten seconds of a core to begin, and workers import torch.
"""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

LIMIT_MS = 300_000  # of anything that is waited for on a busy machine
SERVE = [sys.executable, "-m", "sweeps", "serve"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("aiohttp") is None, reason="needs ray[default]"),
]


@pytest.fixture
def link(tmp_path):
    """What `gansweep serve` prints, in an empty directory; its Ray ends with the test."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("RAY_", "GANSWEEP_"))}
    environment = inherited | {
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "OMP_NUM_THREADS": "1",
        # Of a busy machine, where Ray's processes wait for all others by its default.
        "RAY_worker_register_timeout_seconds": "120",
        "RAY_worker_niceness": "0",
    }
    service = subprocess.Popen(
        [*SERVE, "--port", "0"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield re.search(r"http://\S+", service.stdout.readline())[0]
    finally:
        service.send_signal(signal.SIGINT)
        service.communicate(timeout=400)
        stop = [*SERVE, "--stop-ray"]
        subprocess.run(stop, cwd=tmp_path, env=environment, check=True, timeout=400)


def until(page, expression):
    """Waits for a truth; Playwright's own waiting evaluates text, which the policy forbids."""
    end = time.monotonic() + LIMIT_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression}\n{page.inner_text('body')}"
        page.wait_for_timeout(100)


def ended(page):
    """How many trials the page says have ended."""
    found = re.match(r"[\d,]+(?= of)", page.inner_text(".told").strip())
    return int(found[0].replace(",", "")) if found else 0


def until_ended(page, count):
    end = time.monotonic() + LIMIT_MS / 1000
    while (now := ended(page)) < count:
        assert time.monotonic() < end, page.inner_text("body")
        page.wait_for_timeout(100)
    return now


def begin(page):
    """Presses the button, again where the machine is so busy that Ray asks for patience."""
    end = time.monotonic() + LIMIT_MS / 1000
    while page.url.endswith("/new"):
        assert time.monotonic() < end, page.inner_text("#wrong")
        with contextlib.suppress(Exception):  # it has gone on to the sweep
            if page.is_enabled("#start", timeout=1000):
                page.click("#start", timeout=1000)
        page.wait_for_timeout(200)
    assert page.url.endswith("/sweeps/seen")


def test_a_sweep_of_the_preset_is_begun_watched_opened_stopped_and_taken_home(
    link, browser, tmp_path
):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(LIMIT_MS)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(link)
    page.click("text=New sweep")
    page.fill("input[name=name]", "seen")
    page.fill("input[name=trials]", "5000")
    page.fill("input[name=steps]", "300")
    # Measuring as the preset does would take longer than so few steps, and a quarter of so many
    # trials at a time long to come to an end.
    config = page.input_value("#config").replace("eval_images = 1000", "eval_images = 100")
    page.fill("#config", config.replace('max_in_flight = "auto"', "max_in_flight = 32"))
    begin(page)

    first = until_ended(page, 2)
    until_ended(page, first + 1)  # without being loaded again
    until(page, "document.querySelectorAll('#board tbody tr').length >= 2")

    page.click(".counts a")
    until(page, "location.pathname.startsWith('/sweeps/seen/trials/')")
    until(page, "document.querySelectorAll('.member').length === 2")
    page.evaluate("document.querySelector('.curves').scrollIntoView()")  # or nothing is drawn
    until(page, "document.querySelectorAll('.curves canvas').length >= 2")
    assert re.search(r"^\d of \d+$", page.inner_text(".pairs"), re.MULTILINE)  # the best go on
    page.go_back()

    page.click("#stop")
    page.click("#confirm button[value=yes]")
    until(page, "document.querySelector('.state').textContent.trim() === 'stopped'")
    page.click("#downloads summary")
    with page.expect_download() as download:
        page.click("#downloads a[href*='tables/trials?format=parquet']")
    file = tmp_path / "trials.parquet"
    download.value.save_as(file)
    trials = pd.read_parquet(file)
    assert trials["trial"].nunique() == ended(page) < 5000
    assert set(trials["status"]) <= {"complete", "pruned", "diverged"}
    assert "complete" in set(trials["status"])
    assert complaints == []
    page.context.close()
