"""The colours of every chart and page, each in a light and a dark version.

The nine colours of verdicts were searched for: on their background each has a contrast of at
least 3 (WCAG 2.2, 1.4.11), and any two differ by at least 19 in CIELAB, for full protanopia,
deuteranopia and tritanopia too (Machado et al. 2009, doi:10.1109/TVCG.2009.113).
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.rules import Verdict

__all__ = ["INK", "VERDICTS", "VERDICT_NAMES", "VERDICT_ORDER", "Shade", "stylesheet", "to_dark"]


@dataclass(frozen=True)
class Shade:
    """One colour as it is on a light and on a dark page, as #RRGGBB."""

    light: str
    dark: str


VERDICTS = {
    Verdict.HEALTHY: Shade("#1AA868", "#55E39C"),
    Verdict.UNDERTRAINED: Shade("#545A61", "#A3ADBB"),
    Verdict.PARTIAL_COLLAPSE: Shade("#C28600", "#FFCF5A"),
    Verdict.MODE_COLLAPSE: Shade("#A2380A", "#E54D0C"),
    Verdict.LATE_COLLAPSE: Shade("#603923", "#9B744F"),
    Verdict.OSCILLATING: Shade("#84238B", "#B643AC"),
    Verdict.D_SATURATED: Shade("#6E8DE2", "#6FA8FF"),
    Verdict.DIVERGED: Shade("#0D1118", "#F5F6F9"),
    Verdict.UNDETERMINED: Shade("#8496A3", "#66686C"),
}
"""From sound over every failure to unknown, which is the order of legends and stacks."""

VERDICT_ORDER = tuple(verdict.value for verdict in VERDICTS)

VERDICT_NAMES = {verdict.value: verdict.value.replace("_", " ") for verdict in VERDICTS} | {
    Verdict.D_SATURATED.value: "D saturated"
}
"""As a reader sees them."""

INK = {
    "text": Shade("#1B2027", "#E9ECF1"),
    "muted": Shade("#5B6572", "#A2ACBA"),
    "faint": Shade("#AAB3BD", "#565F6C"),
    "grid": Shade("#E7EAEE", "#272D37"),
    "surface": Shade("#FFFFFE", "#161A21"),
    "page": Shade("#F6F7F5", "#0F1217"),
    "accent": Shade("#2B4C7E", "#9DBCEB"),
    "wash": Shade("#DCE4F0", "#26344A"),
    "alarm": Shade("#B3360B", "#F0743E"),
    "calm": Shade("#F1EFEA", "#20242C"),
}
"""Everything that is no verdict. `calm` to `alarm` is the scale of failure rates."""


def to_dark() -> dict[str, str]:
    """The dark version of every light colour: what makes a light chart a dark one."""
    return {shade.light: shade.dark for shade in (*VERDICTS.values(), *INK.values())}


def stylesheet() -> str:
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
