"""What a sweep found, in sentences made from its numbers.

Every sentence carries the numbers it rests on, and says so where they are too few.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis.failures import is_failure
from analysis.plots.quantities import quantity
from analysis.plots.scales import short_number
from analysis.report.tables import Tables, varied
from analysis.report.wording import among, count, interval, percent, settings, verdict_name
from analysis.rules import Verdict

__all__ = ["ENOUGH", "Finding", "findings"]

ENOUGH = 5
"""Judged members below which a rate is called what it is: of too few."""

_NOUNS = {
    Verdict.DIVERGED.value: "divergence",
    Verdict.OSCILLATING.value: "oscillation",
    Verdict.D_SATURATED.value: "a saturated D",
}

_BUDGETS = (16, 8, 4, 2)  # trials; the first that the sweep has twice is told


@dataclass(frozen=True)
class Finding:
    """One thing that the sweep found."""

    key: str
    lead: str
    """It, in a short sentence."""
    detail: str
    """The numbers behind it."""
    figure: str
    """Id of the section of the report that shows it."""


def findings(tables: Tables) -> list[Finding]:
    """What can be said of a sweep, the most important first.

    Args:
        tables: from `analysis.report.tables.gather`.
    """
    if tables.is_empty:
        return [_nothing_yet(tables)]
    told: tuple[Callable[[Tables], Finding | None], ...] = (
        _best,
        _failures,
        _variants,
        _range,
        _common_failure,
        _importance,
        _budget,
        _seeds,
        _diverged,
        _control,
    )
    return [finding for tell in told if (finding := tell(tables)) is not None]


def _nothing_yet(tables: Tables) -> Finding:
    training = len(tables.sweep.history[["trial", "seed"]].drop_duplicates())
    detail = f"{count(training, 'member')} in training." if training else "None has begun either."
    return Finding("empty", "No member has ended yet.", detail, "training")


def _best(tables: Tables) -> Finding | None:
    name = quantity(tables.objective).name
    if tables.best.empty:
        return Finding(
            "best",
            "No trial has come to a sound end.",
            "Trials that were ended early, failed or diverged cannot be the best.",
            "leaderboard",
        )
    row = tables.best.iloc[0].to_dict()
    value, real = float(row["trial_objective"]), tables.control("real", tables.objective)
    seeds = tables.trials.set_index("trial").loc[row["trial"]]
    against = f"; real data score {short_number(real)}" if math.isfinite(real) else ""
    spread = interval(seeds["iqm_low"], seeds["iqm_high"])
    over = f" over {count(int(row['seeds']), 'seed')}"
    over += f" (95% interval {spread})" if spread else ""
    how = settings(row, varied(tables.sweep.trials))
    return Finding(
        "best",
        f"Trial {row['trial']} is the best: {name} {short_number(value)}{against}.",
        f"Mean{over}; verdicts {_verdict_counts(row['verdicts'])}.{how and f' Settings: {how}.'}",
        "leaderboard",
    )


def _failures(tables: Tables) -> Finding:
    found = tables.failures
    judged, failures = int(found["judged"]), int(found["failures"])
    rest = int(found["members"]) - judged
    if not judged:
        return Finding(
            "failures",
            "No member could be judged.",
            f"All {rest:,} are undertrained or undetermined.",
            "training",
        )
    share = {0: "No member", judged: "Every member"}.get(
        failures, f"{percent(failures / judged)} of the members"
    )
    wilson = interval(found["low"], found["high"], of_shares=True)
    few = " That is too few to rely on." if judged < ENOUGH else ""
    others = f" {count(rest, 'other')} could not be judged." if rest else ""
    return Finding(
        "failures",
        f"{share} that could be judged failed.",
        f"{failures:,} of {judged:,} (Wilson 95% interval {wilson}).{few}{others}",
        "training",
    )


def _variants(tables: Tables) -> Finding | None:
    rows = tables.variants[tables.variants["judged"] > 0]
    if len(tables.variants) < 2 or rows.empty:
        return None
    what = quantity(tables.by).name.lower()
    if rows["judged"].max() < ENOUGH:
        return Finding(
            "variants",
            f"Too few members were judged to say which {what} trains best.",
            f"At most {count(int(rows['judged'].max()), 'judged member')} of any; "
            f"at least {ENOUGH} are asked for.",
            "variants",
        )
    rows = rows[rows["judged"] >= ENOUGH].sort_values(
        ["failure_rate", "judged"], ascending=[True, False]
    )
    first, last = rows.iloc[0], rows.iloc[-1]
    detail = f"{_healthy(first)}"
    if len(rows) > 1:
        apart = first["failure_high"] < last["failure_low"]
        sure = "the intervals do not overlap" if apart else "the intervals overlap, so this is open"
        detail += f"; the least stable was {last['variant']}, {_healthy(last)}: {sure}"
    return Finding("variants", f"{first['variant']} failed least often.", f"{detail}.", "variants")


def _healthy(row: pd.Series) -> str:
    sound = int(row["judged"] - row["failures"])
    wilson = interval(1 - row["failure_high"], 1 - row["failure_low"], of_shares=True)
    return f"{sound} of {int(row['judged'])} judged members were healthy (Wilson {wilson})"


def _range(tables: Tables) -> Finding | None:
    if not tables.ranges:
        return None
    rate, ranges = next(iter(tables.ranges.items()))
    what = _lower(quantity(rate).name)
    # The seeds of a trial share its rates, so it is trials that have to be enough.
    enough = ENOUGH * max(1, int(tables.trials["seeds"].median()))
    rows = ranges[ranges["members"] >= enough]
    if tables.variants["judged"].max() < ENOUGH:
        return None  # which has been said
    if rows.empty:
        return Finding(
            "range",
            f"Nothing was stable over a range of the {what}.",
            "In no stretch of it with enough members did at most 20% of them fail.",
            "regions",
        )
    row = rows.iloc[0]
    members = int(row["members"])
    few = " Few trials, so take it as a hint." if members < 2 * enough else ""
    others = [f"{r.variant} ({r.decades:.1f})" for r in rows.iloc[1:4].itertuples()]
    then = f" Next in width: {among(others)}." if others else ""
    return Finding(
        "range",
        f"{row['variant']} is stable over the widest range of the {what}: "
        f"{row['decades']:.1f} decades.",
        f"From {short_number(row['low'], 2)} to {short_number(row['high'], 2)} at most 20% of "
        f"its {count(members, 'judged member')} failed.{then}{few}",
        "regions",
    )


def _common_failure(tables: Tables) -> Finding | None:
    verdicts = tables.verdicts
    failed = verdicts[is_failure(verdicts["verdict"])]
    if failed.empty:
        return None
    counts = failed["verdict"].value_counts()
    verdict, number = str(counts.index[0]), int(counts.iloc[0])
    of_it = failed[failed["verdict"] == verdict]
    onsets = of_it["onset_step"].dropna().astype("float64")
    late = onsets[onsets > 0]
    began = f" Where its onset is seen, it began at step {late.median():,.0f} in the median." if (
        len(late) >= ENOUGH
    ) else ""  # fmt: skip
    others = [f"{verdict_name(str(name))} {n}" for name, n in counts.iloc[1:4].items()]
    then = f" Then come {among(others)}." if others else ""
    return Finding(
        "common_failure",
        f"The most common failure is {_NOUNS.get(verdict, verdict_name(verdict))}.",
        f"{number:,} of the {count(len(failed), 'failed member')}.{then}{began}",
        "training",
    )


def _importance(tables: Tables) -> Finding | None:
    rows = tables.importances[tables.importances["importance"] > 0]
    tops = rows.sort_values("importance", ascending=False).drop_duplicates("target")
    if tops.empty:
        return None
    by_target = tops.set_index("target")
    about = {"objective": "the objective", "collapse": "losing modes", "stability": "stability"}
    lines = [
        f"for {text} {by_target.at[target, 'hyperparameter']!s} "
        f"({percent(float(by_target['importance'][target]))})"
        for target, text in about.items()
        if target in by_target.index
    ]
    main = by_target.loc["objective"] if "objective" in by_target.index else by_target.iloc[0]
    # What only some trials have is compared among those alone: not what matters most of all.
    everywhere = rows["hyperparameter"].map(lambda name: bool(tables.trials[name].notna().all()))
    shared = rows[(rows["target"] == main.name) & everywhere]
    if len(shared):
        main = shared.sort_values("importance", ascending=False).iloc[0]
    name = quantity(str(main["hyperparameter"])).name
    trials = tables.trials["trial"].nunique()
    few = f" From {trials} trials only, so take it as a hint." if trials < 30 else ""
    tops_of = dict.fromkeys(str(name) for name in by_target["hyperparameter"])
    having = {name: int(tables.trials[name].notna().sum()) for name in tops_of}
    notes = [
        f" Only {n} of {trials} trials have {name}." for name, n in having.items() if n < trials
    ]
    some = "".join(notes)
    return Finding(
        "importance",
        f"{name} matters most.",
        f"Share of importance {among(lines)}.{some}{few}",
        "importance",
    )


def _budget(tables: Tables) -> Finding | None:
    rows = tables.budget[tables.budget["expected_best"].notna()]
    if len(rows) < 4 or tables.best.empty:
        return None
    whole = rows.iloc[-1]
    asked = next((k for k in _BUDGETS if k * 2 <= whole["trials"]), None)
    if asked is None:
        return None
    row = rows[rows["trials"] == asked].iloc[0]
    spread = interval(row["low"], row["high"])
    name = quantity(tables.objective).name
    return Finding(
        "budget",
        f"After {asked} trials the expected best {name} is {short_number(row['expected_best'])}.",
        f"95% of such sweeps lie in {spread}; all {int(whole['trials'])} trials reached "
        f"{short_number(whole['expected_best'])}.",
        "budget",
    )


def _seeds(tables: Tables) -> Finding | None:
    rows = tables.trials[tables.trials["judged"] > 1]
    if rows.empty:
        return None
    split = int(((rows["failures"] > 0) & (rows["failures"] < rows["judged"])).sum())
    known = rows["seed_unstable"].dropna()
    lead = (
        f"In {split} of {count(len(rows), 'trial')} some seeds failed and others did not."
        if split
        else "The seeds of every trial agree on whether it fails."
    )
    detail = (
        f"{int(known.sum())} of {len(known)} trials with at least five judged seeds are unstable."
        if len(known)
        else f"{count(len(rows), 'trial')} with two judged seeds or more; whether one is unstable "
        "takes five."
    )
    return Finding("seeds", lead, detail, "leaderboard")


def _diverged(tables: Tables) -> Finding:
    verdicts = tables.verdicts["verdict"]
    number, members = int((verdicts == Verdict.DIVERGED.value).sum()), len(verdicts)
    if not number:
        return Finding(
            "diverged", "Nothing diverged.", f"None of {count(members, 'member')}.", "training"
        )
    return Finding(
        "diverged",
        f"{percent(number / members)} of the members diverged.",
        f"{number:,} of {members:,}: a number was not finite, or gradients or samples exploded.",
        "training",
    )


def _control(tables: Tables) -> Finding | None:
    real = tables.control("real", tables.objective)
    if not math.isfinite(real):
        return None
    untrained = tables.control("untrained", tables.objective)
    rows = tables.sweep.control
    images = rows.loc[rows["kind"] == "real", "eval_images"].iloc[-1]
    number = f" ({int(images):,} samples, as for every member)" if pd.notna(images) else ""
    worst = (
        f", an untrained generator {short_number(untrained)}" if math.isfinite(untrained) else ""
    )
    return Finding(
        "control",
        f"Held-out real data score {short_number(real)}{worst}.",
        f"By the same protocol{number}. No {quantity(tables.objective).name} can be expected to "
        f"pass the real data's.",
        "method",
    )


def _verdict_counts(text: str) -> str:
    """From "0: healthy, 1: diverged" by seed to "1 healthy, 1 diverged"."""
    words = [part.split(": ")[-1] for part in text.split(", ")]
    return ", ".join(f"{words.count(w)} {verdict_name(w)}" for w in dict.fromkeys(words))


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
