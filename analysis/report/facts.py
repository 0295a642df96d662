"""The facts of a sweep that stand on its report: counts, times, numbers of variants, config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.plots.palette import VERDICT_NAMES, VERDICT_ORDER
from analysis.plots.quantities import quantity
from analysis.plots.scales import short_number
from analysis.report.tables import Tables
from analysis.report.wording import count, percent

__all__ = [
    "VARIANT_HEAD",
    "config_text",
    "headline_facts",
    "origin",
    "plural",
    "progress_text",
    "sweep_name",
    "variant_cells",
    "verdict_counts",
    "version",
]


def sweep_name(tables: Tables) -> str:
    """The name of the config, or of the directory."""
    fallback = tables.sweep.path.rstrip("/").rsplit("/", 1)[-1]
    return str(tables.sweep.config.get("name") or fallback or "sweep")


def origin(tables: Tables) -> str:
    """Dataset, architecture and sampler."""
    sweep = tables.sweep
    parts = [
        sweep.config.get("data", {}).get("dataset"),
        sweep.config.get("model", {}).get("architecture"),
        sweep.config.get("search", {}).get("sampler"),
    ]
    return " · ".join(str(part) for part in parts if part)


def progress_text(tables: Tables) -> str:
    """How far a running sweep is; "" for one that has ended."""
    if not tables.is_running:
        return ""
    ended, asked = tables.sweep.trials["trial"].nunique(), tables.asked_trials
    members = tables.sweep.history[["trial", "seed"]].drop_duplicates()
    in_training = len(members) - len(tables.sweep.trials)
    training = f"; {count(in_training, 'member')} in training" if in_training > 0 else ""
    return f"{ended:,} of {asked:,} trials have ended{training}. All of this may change."


def headline_facts(tables: Tables) -> list[dict[str, str]]:
    """The five numbers at the top: `name`, `value` and `note`."""
    sweep, found = tables.sweep, tables.failures
    trials, members = sweep.trials["trial"].nunique(), len(sweep.trials)
    best = tables.best["trial_objective"].iloc[0] if len(tables.best) else math.nan
    real = tables.control("real", tables.objective)
    judged = int(found["judged"])
    healthy = judged - int(found["failures"])
    # Members of a worker train at the same time, so each takes its share of the worker's.
    at_once = sweep.trials["slots"].astype("float64").fillna(1.0).clip(lower=1.0)
    seconds = float((sweep.trials["seconds"] / at_once).sum())
    name = quantity(tables.objective).name
    return [
        {"name": "Trials", "value": f"{trials:,}", "note": count(members, "member")},
        {
            "name": "Healthy",
            "value": f"{healthy:,}",
            "note": f"{percent(healthy / judged)} of {judged:,} judged"
            if judged
            else "none judged",
        },
        {
            "name": f"Best {name}",
            "value": short_number(float(best)) if best == best else "none",
            "note": f"trial {tables.best['trial'].iloc[0]}"
            if len(tables.best)
            else "no sound trial",
        },
        {
            "name": "Real data",
            "value": short_number(real) if math.isfinite(real) else "unknown",
            "note": f"{name}, held out",
        },
        {"name": "Training", "value": _duration(seconds), "note": "of workers, in all"},
    ]


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds) or seconds <= 0:
        return "unknown"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def verdict_counts(tables: Tables) -> list[dict[str, Any]]:
    """Verdicts that occur: `key`, `name`, `count`."""
    counts = tables.verdicts["verdict"].value_counts()
    return [
        {"key": verdict, "name": VERDICT_NAMES[verdict], "count": int(counts[verdict])}
        for verdict in VERDICT_ORDER
        if verdict in counts
    ]


VARIANT_HEAD = (
    "Variant",
    "Trials",
    "Members",
    "Judged",
    "Failed",
    "Failure rate",
    "Wilson interval",
    "Interquartile mean",
    "Bootstrap interval",
    "Best",
)


def variant_cells(row: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """The cells of a row of `analysis.variants.by_variant`: `text`, and `value` to sort by."""

    def cell(value: float, text: str | None = None) -> dict[str, Any]:
        known = value is not None and math.isfinite(value)
        shown = (short_number(value) if text is None else text) if known else ""
        return {"value": f"{value}" if known else "", "text": shown}

    def span(low: float, high: float, *, shares: bool = False) -> str:
        write = percent if shares else short_number
        return f"{write(low)} to {write(high)}"

    rate, low, high = row["failure_rate"], row["failure_low"], row["failure_high"]
    return [
        {"text": str(row["variant"])},
        *(cell(int(row[name])) for name in ("trials", "members", "judged", "failures")),
        cell(rate, percent(rate)),
        cell(low, span(low, high, shares=True)),
        cell(row["iqm"]),
        cell(row["iqm_low"], span(row["iqm_low"], row["iqm_high"])),
        cell(row["best"]),
    ]


def plural(by: str) -> str:
    """The heading of what the variants are."""
    return {"loss": "Losses", "penalty": "Penalties", "d_norm": "Normalisations"}.get(
        by, f"By {quantity(by).name.lower()}"
    )


def config_text(tables: Tables) -> str:
    """The config as TOML, nearly."""
    lines = []
    for key, value in tables.sweep.config.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(f"{name} = {_toml(v)}" for name, v in value.items())]
        else:
            lines.append(f"{key} = {_toml(value)}")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(v)}" for name, v in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def version(tables: Tables) -> str:
    """The gansweep that trained the last member."""
    versions = tables.sweep.trials["gansweep_version"].dropna()
    return str(versions.iloc[-1]) if len(versions) else ""
