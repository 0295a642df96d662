import dataclasses

import numpy as np
import pandas as pd

from analysis.report.exemplars import exemplars


def test_the_best_the_worst_and_a_collapsed_member_stand_for_a_sweep(tables):
    best, worst, collapsed = exemplars(tables)
    assert (best.role, best.trial, best.verdict) == ("best", 0, "healthy")
    assert (collapsed.role, collapsed.verdict) == ("collapsed", "mode_collapse")
    members = tables.members[tables.members["status"] == "complete"]
    assert worst.value == members["objective"].max()
    assert len({(e.trial, e.seed) for e in (best, worst, collapsed)}) == 3


def test_what_does_not_occur_has_no_exemplar(single):
    (only,) = exemplars(single)
    assert (only.role, only.trial) == ("best", 0)


def test_a_member_without_a_finite_objective_is_neither_best_nor_worst(single):
    row = single.members.iloc[[0]]
    values = [np.nan, np.inf, 3.0, 4.0]
    members = pd.concat([row.assign(seed=s, objective=v) for s, v in enumerate(values)])
    found = exemplars(dataclasses.replace(single, members=members))
    assert {e.role: e.seed for e in found} == {"best": 2, "worst": 3}


def test_an_empty_sweep_has_none(nothing):
    assert exemplars(nothing) == []
