"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.plots.modes import plot_class_coverage
from analysis.plots.palette import INK, VERDICT_NAMES, VERDICT_ORDER, stylesheet, to_dark
from analysis.plots.quantities import quantity
from analysis.plots.save import javascript
from analysis.plots.scales import TICK_STEPS, short_number
from analysis.plots.theme import config, is_empty
from analysis.report.catalog import catalog
from analysis.report.compact import bundle, to_json
from analysis.report.exemplars import Exemplar, exemplars
from analysis.report.facts import (
    VARIANT_HEAD,
    config_text,
    headline_facts,
    origin,
    plural,
    progress_text,
    sweep_name,
    variant_cells,
    verdict_counts,
    version,
)
from analysis.report.findings import findings
from analysis.report.method import method
from analysis.report.records import (
    Samples,
    history_record,
    left_out,
    samples_record,
    trials_record,
)
from analysis.report.tables import Tables
from analysis.report.templates import class_template, curve_template
from analysis.report.wording import among, count
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
        "name": sweep_name(tables),
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
        name=sweep_name(tables),
        eyebrow=origin(tables),
        running=progress_text(tables),
        facts=headline_facts(tables),
        verdicts=verdict_counts(tables),
        members=count(len(tables.verdicts), "member"),
        findings=findings(tables),
        sections=[(key, title) for key, title in _SECTIONS],
        by_section=by_section,
        objective=quantity(tables.objective).name,
        greater=tables.greater,
        shown=[_shown(tables, e, samples, held.specs) for e in shown],
        shown_words=among([f"the {_ROLES[e.role].lower()}" for e in shown]),
        by=quantity(tables.by).name.lower(),
        by_title=plural(tables.by),
        variants_head=VARIANT_HEAD,
        variants=[variant_cells(row) for row in tables.variants.to_dict("records")],
        method=method(tables),
        left_out=left_out(samples, history),
        config=config_text(tables),
        version=version(tables),
        made_at=made_at.strftime("%Y-%m-%d %H:%M:%S %Z").strip(),
        refresh_s=refresh_s,
        policy=_policy((theme, script, vega)),
        style=Markup(stylesheet() + _file("style.css")),
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
