"""What a person reads at the end is what analysis found, and no more."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from analysis.compare import failure_rate, leaderboard
from analysis.load import load
from analysis.verdict import judge
from sweeps.closing import BEST_NAME, Standing, show, write_best
from sweeps.config_file import load_config
from sweeps.store import Store


@pytest.fixture(scope="module")
def swept(small_sweep):
    """The small sweep, its verdicts and its best trials."""
    sweep = load(small_sweep)
    return sweep, judge(sweep), leaderboard(sweep, 3)


@pytest.fixture
def standing(swept, small_sweep):
    """Makes standings of the small sweep, as it is but for some changes."""
    sweep, verdicts, leaders = swept

    def make(**changes):
        usual = {
            "config": load_config(small_sweep / "sweep.toml"),
            "store": Store(small_sweep),
            "trials": sweep.trials,
            "verdicts": verdicts,
            "failures": failure_rate(changes.get("verdicts", verdicts)),
            "leaders": leaders,
            "real": 1.25,
        }
        return Standing(**(usual | changes))

    return make


def shown(standing):
    file = io.StringIO()
    show(standing, Console(file=file, width=160))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_best_trials_are_shown_with_what_was_searched_and_their_verdicts(standing, swept):
    lines = shown(standing())
    assert lines[0] == "small: 6 of 6 trials ended"
    assert "Best trials by frechet_distance (real images: 1.25)" in lines
    header = next(line.split() for line in lines if line.startswith(" trial"))
    at = lines.index(next(line for line in lines if line.startswith(" trial")))
    searched = ["lr_g", "lr_d", "latent_dim", "loss", "label_smoothing"]
    assert header == ["trial", "frechet_distance", *searched, "verdicts", "of", "its", "seeds"]
    best = swept[2]
    for line, (_, row) in zip(lines[at + 1 :], best.iterrows(), strict=False):
        assert line.split()[:2] == [f"{row['trial']}", f"{row['trial_objective']:.3g}"]
        assert row["loss"] in line.split()
    assert "1 diverged, 1 undetermined" in lines[at + 1]  # of trial 1 seed 2 broke


def test_the_verdicts_on_all_members_are_counted(standing):
    verdicts = pd.DataFrame({"trial": range(20), "verdict": ["healthy"] * 15 + ["diverged"] * 5})
    lines = shown(standing(verdicts=verdicts, leaders=pd.DataFrame()))
    bars = {line.split()[0]: line.split()[1:] for line in lines if "█" in line}
    assert bars["healthy"] == ["15", "█" * 18]
    assert bars["diverged"] == ["5", "█" * 6]
    rate = next(line for line in lines if line.startswith("Failure rate"))
    assert rate.startswith("Failure rate: 25% of 20 judged members (95% interval 11% to 47%); 0 ")


def test_a_rate_is_not_made_up_where_nothing_could_be_judged(standing):
    verdicts = pd.DataFrame({"trial": [0], "verdict": ["undetermined"]})
    lines = shown(standing(verdicts=verdicts, leaders=pd.DataFrame()))
    assert "Failure rate: unknown, no member trained for long enough to be judged" in lines


def test_before_anything_has_ended_there_is_only_the_place(standing, swept, tmp_path):
    sweep, verdicts, leaders = swept
    nothing = {"trials": sweep.trials[:0], "verdicts": verdicts[:0], "leaders": leaders[:0]}
    lines = shown(standing(**nothing, store=Store(tmp_path / "small")))
    assert lines == ["small: 0 of 6 trials ended", f"Results: {tmp_path}/small"]


def test_of_a_sweep_that_confirms_each_configuration_is_told(standing, small_sweep):
    config = load_config(
        small_sweep / "sweep.toml",
        ["search.trials=3", "search.confirms={sweep='digits', trials=[38, 7, 12]}"],
    )
    names = ["trial", "again", "said", "iqm", "iqm_low", "iqm_high", "failures", "judged"]
    names += ["failure_rate", "failure_low", "failure_high", "verdicts", "finding"]
    bad = "6 healthy, 4 mode_collapse"
    rows = [
        [38, 0, 8.95, 9.125, 8.5, 9.75, 1, 10, 0.1, 0.018, 0.404, "9 healthy, 1 oscillating"],
        [7, 1, 9.5, 14.0, 12.0, 16.0, 4, 10, 0.4, 0.17, 0.69, bad],
        [12, 2, 9.9, *[None] * 9],
    ]
    findings = ["holds up", "unstable", None]
    confirmed = pd.DataFrame(
        [[*row, finding] for row, finding in zip(rows, findings, strict=True)], columns=names
    )
    lines = shown(standing(config=config, confirmed=confirmed))
    assert "Trials of digits on fresh seeds, by frechet_distance" in lines
    assert not any(line.startswith("Best trials") for line in lines)
    cells = [" ".join(line.split()) for line in lines]
    first = "38 0 8.95 9.12 (8.5 to 9.75) 1 of 10 (2% to 40%) 9 healthy, 1 oscillating holds up"
    assert first in cells
    second = "7 1 9.5 14 (12 to 16) 4 of 10 (17% to 69%) 6 healthy, 4 mode collapse unstable"
    assert second in cells
    assert "12 2 9.9 - (- to -) - - -" in cells


def test_the_best_trials_samples_become_a_file(swept, tmp_path):
    sweep, _, leaders = swept
    write_best(leaders, sweep.samples, tmp_path)
    best = sweep.samples[sweep.samples["trial"] == leaders["trial"].iloc[0]]
    assert (tmp_path / BEST_NAME).read_bytes() == best.sort_values("seed")["png"].iloc[0]
    assert [path.name for path in tmp_path.iterdir()] == [BEST_NAME]


def test_without_a_best_or_a_place_there_is_no_file(swept, tmp_path):
    sweep, _, leaders = swept
    write_best(leaders[:0], sweep.samples, tmp_path)
    write_best(leaders, sweep.samples, tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []
