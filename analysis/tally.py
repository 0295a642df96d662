"""How many members got which verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.window import MEMBER

if TYPE_CHECKING:
    from analysis.load import Sweep

__all__ = ["tally"]


def tally(sweep: Sweep, verdicts: pd.DataFrame, *, by: str | None = "loss") -> pd.DataFrame:
    """Members by verdict, in each variant.

    Args:
        sweep: from `analysis.load`.
        verdicts: from `analysis.verdict.judge`.
        by: a hyperparameter; None counts all together, as the variant "all".

    Returns:
        One row per variant and verdict that occurs: `variant` (as text), `verdict`, `members`,
        `share` (of the variant's members).
    """
    rows = verdicts[[*MEMBER, "verdict"]]
    if by is None:
        rows = rows.assign(variant="all")
    else:
        rows = rows.merge(sweep.trials[[*MEMBER, by]], on=MEMBER)
        rows = rows.assign(variant=rows[by].astype("str"))[rows[by].notna()]
    counts = rows.groupby(["variant", "verdict"]).size().rename("members").reset_index()
    return counts.assign(
        share=counts["members"] / counts.groupby("variant")["members"].transform("sum")
    )
