"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.plots.modes import plot_class_coverage
from analysis.plots.palette import INK, VERDICT_NAMES, VERDICT_ORDER, VERDICTS, to_dark
from analysis.plots.quantities import quantity
from analysis.plots.save import javascript
from analysis.plots.scales import TICK_STEPS, short_number
from analysis.plots.theme import config, is_empty
from analysis.report.catalog import catalog
from analysis.report.compact import bundle, to_json
from analysis.report.exemplars import Exemplar, exemplars
from analysis.report.findings import findings
from analysis.report.method import method
from analysis.report.records import Samples, history_record, samples_record, trials_record
from analysis.report.tables import Tables
from analysis.report.templates import class_template, curve_template
from analysis.report.wording import among, count, percent
from analysis.trajectories import class_coverage

__all__ = ["render"]

_FOLDER = Path(__file__).parent
_SCRIPTS = ("charts.js", "tables.js", "trial.js", "start.js")
_SECTIONS = (
    ("findings", "Findings"),
    ("leaderboard", "Leaderboard"),
    ("samples", "Samples"),
    ("training", "Training"),
    ("modes", "Modes"),
    ("variants", "Variants"),
    ("budget", "Budget"),
    ("importance", "What matters"),
    ("regions", "Where it fails"),
    ("method", "Method"),
)


def render(
    tables: Tables,
    *,
    made_at: datetime,
    refresh_s: int | None = None,
    sample_bytes: int | None = None,
) -> str:
    """The page.

    Everything that comes from the sweep is escaped; the page's policy allows its own scripts
    alone, no evaluation of text, and no request to anywhere.

    Args:
        tables: from `analysis.report.tables.gather`.
        made_at: shown at its foot.
        refresh_s: it loads itself anew so often; never if None.
        sample_bytes: the most that its sample grids may take; see `analysis.report.records`.
    """
    shown = exemplars(tables)
    samples = (
        samples_record(tables, shown)
        if sample_bytes is None
        else samples_record(tables, shown, sample_bytes)
    )
    history = history_record(tables)
    figures = catalog(tables)
    charts = [(figure.key, figure.chart) for figure in figures]
    charts += [chart for exemplar in shown for chart in _class_chart(tables, exemplar)]
    held = bundle(charts)
    data = {
        "name": _name(tables),
        "objective": quantity(tables.objective).name,
        "specs": held.specs,
        "datasets": held.datasets,
        "config": {"light": config(), "dark": config(dark=True)},
        "dark": to_dark(),
        "surface": {"light": INK["surface"].light, "dark": INK["surface"].dark},
        "verdicts": {verdict: VERDICT_NAMES[verdict] for verdict in VERDICT_ORDER},
        "trials": trials_record(tables),
        "curves": {column: curve_template(column) for column in history["curves"]},
        "classes": class_template(),
        "ticks": TICK_STEPS,
        "banded": [figure.key for figure in figures if figure.section == "training"],
    }
    theme, script, vega = _file("theme.js"), _script(), _vega()
    by_section: dict[str, list[Any]] = {}
    for figure in figures:
        by_section.setdefault(figure.section, []).append(figure)
    return _template().render(
        name=_name(tables),
        eyebrow=_eyebrow(tables),
        running=_running(tables),
        facts=_facts(tables),
        verdicts=_verdict_counts(tables),
        members=count(len(tables.verdicts), "member"),
        findings=findings(tables),
        sections=[(key, title) for key, title in _SECTIONS],
        by_section=by_section,
        objective=quantity(tables.objective).name,
        greater=tables.greater,
        shown=[_shown(tables, e, samples, held.specs) for e in shown],
        shown_words=among([f"the {_ROLES[e.role].lower()}" for e in shown]),
        by=quantity(tables.by).name.lower(),
        by_title=_plural(tables.by),
        variants_head=_VARIANT_HEAD,
        variants=[_variant_cells(row) for row in tables.variants.to_dict("records")],
        method=method(tables),
        left_out=_left_out(samples, history),
        config=_config_text(tables),
        version=_version(tables),
        made_at=made_at.strftime("%Y-%m-%d %H:%M:%S %Z").strip(),
        refresh_s=refresh_s,
        policy=_policy((theme, script, vega)),
        style=Markup(_colours() + _file("style.css")),
        theme_script=Markup(theme),
        script=Markup(script),
        vega=Markup(vega),
        data=Markup(to_json(data)),
        history=Markup(to_json(history)),
        samples={trial: Markup(to_json(uris)) for trial, uris in samples.by_trial.items()},
    )


_ROLES = {
    "best": "Best",
    "worst": "Worst trained to the end",
    "collapsed": "Most collapsed",
}


def _class_chart(tables: Tables, exemplar: Exemplar) -> list[tuple[str, Any]]:
    chart = plot_class_coverage(class_coverage(tables.sweep, exemplar.trial, exemplar.seed))
    return [] if is_empty(chart) else [(f"classes_{exemplar.role}", chart)]


def _shown(
    tables: Tables, exemplar: Exemplar, samples: Samples, specs: dict[str, Any]
) -> dict[str, Any]:
    key = f"classes_{exemplar.role}"
    uri = samples.by_trial.get(exemplar.trial, {}).get(exemplar.seed)
    return {
        "title": _ROLES[exemplar.role],
        "trial": exemplar.trial,
        "seed": exemplar.seed,
        "uri": uri and Markup(uri),
        "verdict": exemplar.verdict,
        "verdict_name": VERDICT_NAMES[exemplar.verdict],
        "value": f"{quantity(tables.objective).name} {short_number(exemplar.value)}",
        "key": key if key in specs else None,
    }


def _name(tables: Tables) -> str:
    fallback = tables.sweep.path.rstrip("/").rsplit("/", 1)[-1]
    return str(tables.sweep.config.get("name") or fallback or "sweep")


def _eyebrow(tables: Tables) -> str:
    sweep = tables.sweep
    parts = [
        sweep.config.get("data", {}).get("dataset"),
        sweep.config.get("model", {}).get("architecture"),
        sweep.config.get("search", {}).get("sampler"),
    ]
    return " · ".join(str(part) for part in parts if part)


def _running(tables: Tables) -> str:
    if not tables.is_running:
        return ""
    ended, asked = tables.sweep.trials["trial"].nunique(), tables.asked_trials
    members = tables.sweep.history[["trial", "seed"]].drop_duplicates()
    in_training = len(members) - len(tables.sweep.trials)
    training = f"; {count(in_training, 'member')} in training" if in_training > 0 else ""
    return f"{ended:,} of {asked:,} trials have ended{training}. All of this may change."


def _facts(tables: Tables) -> list[dict[str, str]]:
    sweep, found = tables.sweep, tables.failures
    trials, members = sweep.trials["trial"].nunique(), len(sweep.trials)
    best = tables.best["trial_objective"].iloc[0] if len(tables.best) else math.nan
    real = tables.control("real", tables.objective)
    judged = int(found["judged"])
    healthy = judged - int(found["failures"])
    seconds = float(sweep.trials["seconds"].sum())
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
        {"name": "Training", "value": _duration(seconds), "note": "summed over members"},
    ]


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds) or seconds <= 0:
        return "unknown"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def _verdict_counts(tables: Tables) -> list[dict[str, Any]]:
    counts = tables.verdicts["verdict"].value_counts()
    return [
        {"key": verdict, "name": VERDICT_NAMES[verdict], "count": int(counts[verdict])}
        for verdict in VERDICT_ORDER
        if verdict in counts
    ]


_VARIANT_HEAD = (
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


def _variant_cells(row: dict[str, Any]) -> list[dict[str, Any]]:
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


def _plural(by: str) -> str:
    return {"loss": "Losses", "penalty": "Penalties", "d_norm": "Normalisations"}.get(
        by, f"By {quantity(by).name.lower()}"
    )


def _left_out(samples: Samples, history: dict[str, Any]) -> list[str]:
    lines = []
    if samples.left_out:
        lines.append(
            f"Samples of {count(samples.left_out, 'trial')} had no room in this file; "
            "all are in the sweep's table samples."
        )
    if history["stride"] > 1:
        lines.append(f"Of the history every {history['stride']}th rung is in this file.")
    if history["modes"] and not history["histogram"]:
        lines.append("The shares of single modes had no room in this file.")
    return lines


def _config_text(tables: Tables) -> str:
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


def _version(tables: Tables) -> str:
    versions = tables.sweep.trials["gansweep_version"].dropna()
    return str(versions.iloc[-1]) if len(versions) else ""


def _colours() -> str:
    """The palette as CSS variables: as the system wants it, or as the page was switched to."""
    names = dict(INK)
    names |= {f"v-{verdict.value}": shade for verdict, shade in VERDICTS.items()}
    light = "".join(f"--{name}:{shade.light};" for name, shade in names.items())
    dark = "".join(f"--{name}:{shade.dark};" for name, shade in names.items())
    return (
        f":root{{{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f":root[data-theme=light]{{{light}color-scheme:light}}"
        f":root[data-theme=dark]{{{dark}color-scheme:dark}}"
    )


def _policy(scripts: Iterable[str]) -> str:
    """Content-Security-Policy: these scripts and nothing from anywhere else."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _script() -> str:
    return "(() => {\n" + "\n".join(_file(name) for name in _SCRIPTS) + "\n})();"


@functools.cache
def _vega() -> str:
    return javascript().replace("</script", "<\\/script").replace("<!--", "<\\!--")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
