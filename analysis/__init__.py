"""Reads and judges what a sweep wrote, in pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Not lazy as `judge` is: importing the module of the same name would otherwise put the module
# itself at `analysis.load`. It costs no more than pyarrow, which the schema needs anyway.
from analysis.load import load

if TYPE_CHECKING:
    from analysis.verdict import judge

__all__ = ["judge", "load"]


def __getattr__(name: str) -> Any:
    if name == "judge":
        from analysis.verdict import judge

        return judge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
