"""Whether a sweep lost, repeated or changed anything: each fault is a line, none is a pass."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from .evidence import Asked, Evidence, Told

__all__ = ["differences", "faults"]

OBJECTIVE = "frechet_distance"
STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "diverged": "PRUNED"}
"""Optuna's, by how a trial ended. None may fail: what is killed is never the trials' fault."""

# What differs between two trainings of the same member.
_CIRCUMSTANCES = ("sweep", "trial", "attempt", "members", "seconds")

History = Mapping[tuple[int, int], list[dict[str, Any]]]


def faults(asked: Asked, evidence: Evidence) -> list[str]:
    """All that is wrong but for what the members did, which is for `differences`."""
    study = {told.trial: told for told in evidence.study}
    return [
        *_study_faults(asked, evidence),
        *_member_faults(asked, evidence),
        *_history_faults(asked, evidence),
        *(
            fault
            for trial, rows in evidence.trials.groupby("trial")
            if trial in study
            for fault in _trial_faults(asked, study[trial], rows, evidence.history)
        ),
        *_kept_faults(evidence),
    ]


def differences(history: pd.DataFrame, undisturbed: History) -> list[str]:
    """Where rows are not bitwise what the same members did undisturbed."""
    found = []
    for (trial, seed), expected in undisturbed.items():
        own = history[(history["trial"] == trial) & (history["seed"] == seed)]
        member = f"trial {trial} seed {seed}"
        if len(own) != len(expected):
            found.append(f"{member}: {len(own)} rungs, {len(expected)} undisturbed")
        for (_, row), wanted in zip(own.sort_values("rung").iterrows(), expected, strict=False):
            columns = [name for name in wanted if name not in _CIRCUMSTANCES]
            if unequal := [n for n in columns if _plain(row[n]) != _plain(wanted[n])]:
                found.append(f"{member} rung {row['rung']}: {', '.join(unequal)} differ")
                break
    return found


def _study_faults(asked: Asked, evidence: Evidence) -> Iterator[str]:
    times = Counter(told.trial for told in evidence.study)
    for trial in sorted(set(range(asked.trials)) | set(times)):
        if times[trial] != 1 or trial >= asked.trials:
            yield f"trial {trial} is in the study {times[trial]} times"
        if evidence.ends and evidence.ends[trial] != 1:
            yield f"trial {trial} was told its end {evidence.ends[trial]} times"
    for told in evidence.study:
        if STATES.get(told.outcome or "") != told.state:
            yield f"trial {told.trial} is {told.state} in the study, its outcome {told.outcome}"


def _member_faults(asked: Asked, evidence: Evidence) -> Iterator[str]:
    rows = Counter(_keys(evidence.trials))
    for trial, seed in sorted(asked.members() | set(rows)):
        count, wanted = rows[trial, seed], int((trial, seed) in asked.members())
        if count != wanted:
            yield f"trial {trial} seed {seed}: {count} rows of trials, not {wanted}"


def _history_faults(asked: Asked, evidence: Evidence) -> Iterator[str]:
    found: dict[tuple[int, int], list[tuple[int, int]]] = {key: [] for key in asked.members()}
    for row in evidence.history[["trial", "seed", "rung", "step"]].itertuples(index=False):
        found.setdefault((row.trial, row.seed), []).append((row.rung, row.step))
    ends = {(row.trial, row.seed): row for row in evidence.trials.itertuples(index=False)}
    for (trial, seed), rungs in sorted(found.items()):
        end = ends.get((trial, seed))
        wanted = [] if end is None else _rungs(asked, int(end.steps), end.status == "diverged")
        if sorted(rungs) != wanted:
            yield f"trial {trial} seed {seed}: rungs (rung, step) {sorted(rungs)}, not {wanted}"


def _rungs(asked: Asked, steps: int, diverged: bool) -> list[tuple[int, int]]:
    """(rung, step) of a member from its beginning to its end."""
    # One that diverged stands at the step before, in an interval that it did not finish.
    last = steps // asked.every + diverged
    return [(rung, min(rung * asked.every, steps)) for rung in range(last + 1)]


def _trial_faults(
    asked: Asked, told: Told, rows: pd.DataFrame, history: pd.DataFrame
) -> Iterator[str]:
    """Where the study and the rows of one trial say different things."""
    own = history[history["trial"] == told.trial]
    sound = rows[rows["status"] != "diverged"]
    if not set(sound["status"]) <= {told.outcome, "complete"} or set(rows["status"]) - set(STATES):
        yield f"trial {told.trial} is {told.outcome}, its seeds {sorted(rows['status'])}"
    if told.outcome == "complete" and (sound["steps"] != asked.steps).any():
        yield f"trial {told.trial} is complete, its seeds at {sorted(sound['steps'])}"
    heard = {}
    for rung in range(1, int(own["rung"].max() if len(own) else 0) + 1):
        heard[rung * asked.every] = _objective(own, rung)
    attempts = rows["attempt"].max() > 0
    for step in sorted(set(heard) | set(told.values)):
        if step not in heard and attempts and step > max(heard, default=0):
            continue  # of an attempt that came further before its worker was killed
        value, wanted = told.values.get(step, math.nan), heard.get(step, math.nan)
        if value != wanted:
            yield f"trial {told.trial}: the study heard {value} at step {step}, rows say {wanted}"
    if told.state == "COMPLETE" and told.value != heard.get(max(heard, default=0)):
        yield f"trial {told.trial}: its value is {told.value}, rows say {heard}"


def _objective(own: pd.DataFrame, rung: int) -> float:
    """The mean over the trial's seeds; a diverged one counts as it was before its first step."""
    values = []
    for _, rows in own.groupby("seed"):
        at = rows[rows["rung"] == rung]
        whole = len(at) == 1 and at["nonfinite_steps"].iloc[0] == 0
        value = at[OBJECTIVE].iloc[0] if whole else math.nan
        first = rows.loc[rows["rung"] == 0, OBJECTIVE]
        untrained = first.iloc[0] if len(first) else math.nan
        values.append(value if math.isfinite(value) else untrained)
    return math.fsum(values) / len(values)


def _kept_faults(evidence: Evidence) -> Iterator[str]:
    ended = set(_keys(evidence.trials))
    for trial, seed in sorted(ended ^ set(_keys(evidence.samples))):
        yield f"trial {trial} seed {seed}: ended, or has a picture, but not both"
    for (trial, seed), count in Counter(_keys(evidence.samples)).items():
        if count > 1:
            yield f"trial {trial} seed {seed}: {count} pictures"
    complete = evidence.trials[evidence.trials["status"] == "complete"]
    for trial, seed in sorted(set(_keys(complete)) ^ evidence.networks):
        yield f"trial {trial} seed {seed}: complete, or has networks, but not both"


def _keys(frame: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(frame["trial"].tolist(), frame["seed"].tolist(), strict=True))


def _plain(value: Any) -> Any:
    """As a table stores it: what is not finite is null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
