import math

import pandas as pd
import pytest

from analysis.compare import FAILURES, failure_rate, wilson_interval
from analysis.failures import failure_rates, is_failure, is_judged
from analysis.rules import Verdict

WORDS = pd.Series([*(v.value for v in Verdict), None])


def test_what_failed_was_judged_and_what_is_healthy_too():
    assert set(WORDS[is_failure(WORDS)]) == {v.value for v in FAILURES}
    assert set(WORDS[is_judged(WORDS)]) == {v.value for v in FAILURES} | {"healthy"}


def test_rates_are_those_of_each_group_alone():
    verdict = pd.Series(["healthy", "diverged", "healthy", "undertrained", "oscillating", None])
    group = pd.Series(["a", "a", "a", "b", "c", "c"])
    rates = failure_rates(verdict, [group], confidence=0.9)
    assert rates[["members", "judged", "failures"]].to_numpy().tolist() == [
        *([3, 3, 1], [1, 0, 0], [2, 1, 1])
    ]
    assert rates.loc["a", "rate"] == pytest.approx(1 / 3)
    assert math.isnan(rates.loc["b", "rate"])
    for name, row in rates.iterrows():
        assert (row["low"], row["high"]) == wilson_interval(
            int(row["failures"]), int(row["judged"]), 0.9
        )
        assert name in "abc"


def test_one_group_has_the_failure_rate_of_all():
    verdict = WORDS.dropna()
    all_of_them = failure_rate(pd.DataFrame({"verdict": verdict})).iloc[0]
    row = failure_rates(verdict, [pd.Series(0, index=verdict.index)]).iloc[0]
    for name in ("members", "judged", "failures", "rate", "low", "high"):
        assert row[name] == all_of_them[name]


def test_every_combination_of_categories_has_a_row():
    loss = pd.Series(pd.Categorical(["a", "b"], categories=["a", "b", "c"]))
    place = pd.Series(pd.Categorical([0, 1], categories=[0, 1]))
    rates = failure_rates(pd.Series(["healthy", "diverged"]), [loss, place])
    assert len(rates) == 6
    assert rates["members"].tolist() == [1, 0, 0, 1, 0, 0]
    assert rates[["low", "high"]].iloc[1].tolist() == [0, 1]


def test_of_nothing_there_are_no_rates():
    empty = pd.Series([], dtype="str")
    assert failure_rates(empty, [empty]).empty
    with pytest.raises(ValueError, match="confidence = 2"):
        failure_rates(empty, [empty], confidence=2)
