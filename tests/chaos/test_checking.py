"""The checks of the chaos runs can fail: on tables that are wrong in one way each."""

import dataclasses
import json
from collections import Counter

import pandas as pd
import pytest

from .checking import differences, faults
from .evidence import Asked, Evidence, Told, newest, times_ended

ASKED = Asked(trials=4, seeds=2, seed=3, steps=40, every=10)
FIRST = 3_000_000
# Trial 1 is pruned; of 2 one seed diverges; 3 diverges at once, and was begun three times.
RUNGS = {0: (4, 4), 1: (2, 2), 2: (4, 3), 3: (1, 1)}
OUTCOMES = {0: "complete", 1: "pruned", 2: "complete", 3: "diverged"}
DIVERGED = {(2, FIRST + 5): 27, (3, FIRST + 6): 4, (3, FIRST + 7): 9}
"""Steps made before."""


def score(seed, rung):
    return float(100 - 7 * rung + seed - FIRST)


def rows_of_history(seed, trial, rungs):
    made = DIVERGED.get((trial, seed))
    for rung in range(rungs + 1):
        is_last = made is not None and rung == rungs
        yield {
            "trial": trial,
            "seed": seed,
            "attempt": 2 if trial == 3 else 0,
            "rung": rung,
            "step": made if is_last else rung * ASKED.every,
            "nonfinite_steps": int(is_last),
            "d_loss_mean": None if rung == 0 else rung / (1 + seed - FIRST),
            "frechet_distance": score(seed, rung),
            "mode_histogram": [0.25, 0.75],
            "members": 4,
        }


def heard(trial):
    """By step: the mean of the seeds, with those that diverged as they began."""
    values = {}
    for rung in range(1, max(RUNGS[trial]) + 1):
        seeds = [FIRST + 2 * trial, FIRST + 2 * trial + 1]
        gone = [
            (trial, s) in DIVERGED and rung >= n for s, n in zip(seeds, RUNGS[trial], strict=True)
        ]
        counted = [score(s, 0 if g else rung) for s, g in zip(seeds, gone, strict=True)]
        values[rung * ASKED.every] = sum(counted) / 2
    return values


@pytest.fixture
def sound():
    history, ended = [], []
    for trial, both in RUNGS.items():
        for index, rungs in enumerate(both):
            seed = FIRST + 2 * trial + index
            rows = list(rows_of_history(seed, trial, rungs))
            history += rows
            gone = (trial, seed) in DIVERGED
            ended.append(
                {name: rows[-1][name] for name in ("trial", "seed", "attempt")}
                | {"status": "diverged" if gone else OUTCOMES[trial], "steps": rows[-1]["step"]}
            )
    trials = pd.DataFrame(ended)
    study = [
        Told(
            trial=trial,
            state="COMPLETE" if outcome == "complete" else "PRUNED",
            outcome=outcome,
            values=heard(trial),
            value=heard(trial)[40] if outcome == "complete" else None,
        )
        for trial, outcome in OUTCOMES.items()
    ]
    complete = trials[trials["status"] == "complete"]
    return Evidence(
        trials=trials,
        history=pd.DataFrame(history),
        samples=trials[["trial", "seed", "attempt", "steps"]],
        study=tuple(study),
        ends=Counter(range(4)),
        networks=frozenset(zip(complete["trial"], complete["seed"], strict=True)),
    )


def without(frame, index):
    return frame.drop(frame.index[index])


def twice(frame, index):
    return pd.concat([frame, frame.iloc[[index]]])


def changed(frame, index, **values):
    new = frame.copy()
    for name, value in values.items():
        new.loc[new.index[index], name] = value
    return new


def told(evidence, trial, **values):
    new = list(evidence.study)
    new[trial] = dataclasses.replace(new[trial], **values)
    return {"study": tuple(new)}


def test_a_sweep_that_lost_nothing_has_no_faults(sound):
    assert faults(ASKED, sound) == []


WRONG = {
    "a trial that is RUNNING": (
        lambda e: told(e, 1, state="RUNNING", outcome=None),
        "trial 1 is RUNNING in the study, its outcome None",
    ),
    "a trial that waits beyond those asked for": (
        lambda e: {
            "study": (
                *e.study,
                Told(trial=4, state="WAITING", outcome=None, values={}, value=None),
            )
        },
        "trial 4 is in the study 1 times",
    ),
    "a trial that the study lost": (
        lambda e: {"study": e.study[:-1]},
        "trial 3 is in the study 0 times",
    ),
    "an end told twice": (
        lambda e: {"ends": e.ends + Counter([2])},
        "trial 2 was told its end 2 times",
    ),
    "a trial set aside": (
        lambda e: told(e, 0, state="FAIL", outcome="failed"),
        "trial 0 is FAIL in the study, its outcome failed",
    ),
    "an outcome that its seeds do not have": (
        lambda e: told(e, 1, state="COMPLETE", outcome="complete", value=heard(1)[20]),
        "trial 1 is complete, its seeds ['pruned', 'pruned']",
    ),
    "a doubled row of trials": (
        lambda e: {"trials": twice(e.trials, 0)},
        "trial 0 seed 3000000: 2 rows of trials, not 1",
    ),
    "a lost row of trials": (
        lambda e: {"trials": without(e.trials, 3)},
        "trial 1 seed 3000003: 0 rows of trials, not 1",
    ),
    "a row of a member that was never asked for": (
        lambda e: {"trials": changed(e.trials, 0, seed=17)},
        "trial 0 seed 17: 1 rows of trials, not 0",
    ),
    "a doubled row of history": (
        lambda e: {"history": twice(e.history, 2)},
        "trial 0 seed 3000000: rungs (rung, step) [(0, 0), (1, 10), (2, 20), (2, 20)",
    ),
    "a missing rung": (
        lambda e: {"history": without(e.history, 6)},
        "trial 0 seed 3000001: rungs (rung, step) [(0, 0), (2, 20), (3, 30), (4, 40)], not",
    ),
    "a rung after the end": (
        lambda e: {
            "history": pd.concat(
                [e.history, pd.DataFrame(rows_of_history(FIRST + 2, 1, 3)).iloc[[3]]]
            )
        },
        "trial 1 seed 3000002: rungs (rung, step) [(0, 0), (1, 10), (2, 20), (3, 30)], not",
    ),
    "a member that ended too early": (
        lambda e: {"trials": changed(e.trials, 0, steps=30), "history": without(e.history, 4)},
        "trial 0 is complete, its seeds at [30, 40]",
    ),
    "another value in the study": (
        lambda e: told(e, 0, values={**heard(0), 20: 1.0}),
        "trial 0: the study heard 1.0 at step 20, rows say",
    ),
    "a value that the study never heard": (
        lambda e: told(e, 0, values={s: v for s, v in heard(0).items() if s != 30}),
        "trial 0: the study heard nan at step 30, rows say",
    ),
    "a value of an attempt that never was": (
        lambda e: told(e, 1, values=heard(1) | {30: 1.0}),
        "trial 1: the study heard 1.0 at step 30, rows say nan",
    ),
    "another final value": (
        lambda e: told(e, 0, value=1.0),
        "trial 0: its value is 1.0, rows say",
    ),
    "a lost picture": (
        lambda e: {"samples": without(e.samples, 1)},
        "trial 0 seed 3000001: ended, or has a picture, but not both",
    ),
    "a doubled picture": (
        lambda e: {"samples": twice(e.samples, 1)},
        "trial 0 seed 3000001: 2 pictures",
    ),
    "lost networks": (
        lambda e: {"networks": e.networks - {(0, FIRST)}},
        "trial 0 seed 3000000: complete, or has networks, but not both",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_seen(sound, wrong):
    change, fault = WRONG[wrong]
    found = faults(ASKED, dataclasses.replace(sound, **change(sound)))
    assert any(line.startswith(fault) for line in found), found


def test_what_an_attempt_reached_before_its_worker_was_killed_may_be_in_the_study(sound):
    heard_more = told(sound, 3, values=heard(3) | {20: 1.0})
    assert faults(ASKED, dataclasses.replace(sound, **heard_more)) == []


@pytest.fixture
def again():
    """What each member did undisturbed."""
    return {
        (trial, FIRST + 2 * trial + index): list(
            rows_of_history(FIRST + 2 * trial + index, trial, rungs)
        )
        for trial, both in RUNGS.items()
        for index, rungs in enumerate(both)
    }


def test_history_that_is_what_members_did_undisturbed_has_no_differences(sound, again):
    renamed = sound.history.assign(members=9, attempt=5)
    assert differences(renamed, again) == []


def test_history_of_another_seed_is_seen(sound, again):
    own = sound.history["seed"].replace({FIRST: FIRST + 1, FIRST + 1: FIRST})
    found = differences(sound.history.assign(seed=own), again)
    assert found[:2] == [
        "trial 0 seed 3000000 rung 0: frechet_distance differ",
        "trial 0 seed 3000001 rung 0: frechet_distance differ",
    ]


@pytest.mark.parametrize("value", [float("nan"), 2.0000000000000004])
def test_the_least_difference_in_one_number_is_seen(sound, again, value):
    history = changed(sound.history, 2, d_loss_mean=value)
    assert differences(history, again) == ["trial 0 seed 3000000 rung 2: d_loss_mean differ"]


def test_a_member_that_went_on_for_longer_or_shorter_is_seen(sound, again):
    again[0, FIRST].pop()
    assert differences(sound.history, again) == ["trial 0 seed 3000000: 5 rungs, 4 undisturbed"]


def test_of_the_attempts_the_one_that_ended_the_trial_counts_and_stays_double(sound):
    old = sound.history[sound.history["trial"] == 3].assign(attempt=1)
    assert newest(pd.concat([old, sound.history]), sound.trials)["attempt"].max() == 2
    assert len(newest(pd.concat([old, sound.history]), sound.trials)) == len(sound.history)
    assert len(newest(twice(sound.history, 0), sound.trials)) == len(sound.history) + 1


def test_the_journal_says_how_often_each_trial_was_told_its_end(tmp_path):
    def state(trial, code):
        return json.dumps({"op_code": 6, "trial_id": trial, "state": code})

    lines = [json.dumps({"op_code": 4}), state(0, 0), state(0, 1), state(1, 2), state(1, 2)]
    (tmp_path / "journal").write_text("\n".join([*lines, ""]))
    assert times_ended(tmp_path / "journal") == {0: 1, 1: 2}
