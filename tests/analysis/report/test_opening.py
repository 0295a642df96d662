"""How long a large report takes to open. The bound is the promise itself, not a measurement."""

import numpy as np
import pytest

from analysis.report.write import write_report
from analysis.schema import SAMPLES

LOSSES = ("minimax", "nonsaturating", "lsgan", "hinge", "wgan", "wgan-gp")


def large(writer, png, trials=500, seeds=3):
    """Trials of 20 rungs each, every member with its samples."""
    writer.config(f'name = "large"\n[train]\nsteps = 2000\n[search]\ntrials = {trials}\n')
    rng = np.random.default_rng(0)
    members = []
    for trial in range(trials):
        rates = 10 ** rng.uniform(-5, -2, 2)
        apart = abs(np.log10(rates[0] / rates[1]))
        modes = int(rng.integers(2, 9)) if apart > 1.5 else 10
        noise = rng.normal(1, 0.1, 21)
        like = {
            "frechet": lambda r, a=apart, n=noise: (20 * np.exp(a) + 300 * np.exp(-r)) * n[r],
            "shares": lambda r, k=modes: writer.even(max(k, 10 - r)),
            "hyperparameters": {
                "loss": LOSSES[trial % len(LOSSES)],
                "lr_g": rates[0],
                "lr_d": rates[1],
            },
            "row": {"objective": 20 * np.exp(apart), "trial_objective": 20 * np.exp(apart)},
        }
        members += [writer.member(trial, seed=seeds * trial + s, **like) for s in range(seeds)]
    writer.members(*members)
    writer.control()
    rows = [{**m.keys, "step": 2000, "png": png} for m in members]
    writer.part("samples", rows, SAMPLES)


@pytest.mark.slow  # 30,000 rows to write, judge, plot and open
def test_500_trials_of_three_seeds_open_in_two_seconds(writer, png_bytes, opened):
    large(writer, png_bytes)
    page = opened(write_report(writer.path))
    painted, interactive, loaded = page.evaluate(
        """[performance.getEntriesByName('first-contentful-paint')[0].startTime,
            performance.getEntriesByName('gansweep-interactive')[0].startTime,
            performance.getEntriesByType('navigation')[0].loadEventEnd]"""
    )
    assert max(painted, interactive, loaded) < 2000
    assert page.inner_text(".facts dd").startswith("500")
    page.click("tr[data-trial]")
    page.wait_for_selector("#trial .curves .chart:nth-child(1) canvas")
    page.keyboard.press("Escape")
    page.click("text=Show all 500 trials")
    assert len(page.query_selector_all("#board tbody tr")) == 500
    assert page.complaints == []
