"""Tables of the results in documents, between markers, so that no document says something else.

A document has `<!-- benchmarks: FILE.json BLOCK -->`, then what is generated, then
`<!-- benchmarks: end -->`. FILE is of `benchmarks/results`, BLOCK of `benchmarks.tables.BLOCKS`.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.results import Results
from benchmarks.tables import BLOCKS

__all__ = ["RESULTS", "documents", "requoted"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_BLOCK = re.compile(
    r"(?P<begin><!-- benchmarks: (?P<file>[\w.-]+\.json) (?P<block>\w+) -->\n)"
    r".*?(?P<end><!-- benchmarks: end -->)",
    flags=re.DOTALL,
)


def documents() -> list[Path]:
    """Those of the repository that may quote."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def requoted(text: str, folder: Path = RESULTS) -> str:
    """The document with its quotations as the results are now.

    Raises:
        ValueError: it names a file or a block that there is not.
    """

    def block(found: re.Match[str]) -> str:
        name = found["block"]
        if name not in BLOCKS:
            raise ValueError(f"benchmarks: {name}: must be one of {', '.join(BLOCKS)}")
        quoted = BLOCKS[name](Results.read(folder / found["file"])) or "Not measured."
        return f"{found['begin']}\n{quoted}\n\n{found['end']}"

    return _BLOCK.sub(block, text)
