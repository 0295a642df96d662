import math

import pandas as pd
import pytest

from analysis.report.reasons import reason
from analysis.rules import rules
from analysis.thresholds import Thresholds

RULES = [rule for rule in rules(Thresholds()) if rule.verdict]  # no mere remarks


def row(**given):
    base = {
        "rule": "few_modes",
        "metric": "mode_entropy",
        "window": "steps 1600-2000",
        "value": 3.1,
        "threshold": 4.99,
        "control": 9.98,
        "onset_step": pd.NA,
        "recovered": pd.NA,
    }
    return base | given


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_sentence_with_its_numbers(rule):
    text = reason(row(rule=rule.name, metric=rule.conditions[0].metric))
    assert text.endswith(".")
    assert not set("{}_") & set(text)
    assert "nan" not in text


def test_a_reason_says_what_was_seen_where_and_since_when():
    text = reason(row(onset_step=800))
    assert text == (
        "3.1 effective modes over steps 1600 to 2000; real data have 9.98 (limit 4.99). "
        "So it was from step 800 on."
    )
    assert reason(row(onset_step=0)).endswith("So it was from the start.")


def test_a_member_that_recovered_is_not_accused():
    text = reason(row(onset_step=300, recovered=True, metric="mode_entropy"))
    assert text.endswith("It had a fault from step 300 on, and recovered.")


def test_what_could_not_be_judged_names_what_was_missing():
    text = reason(row(rule="", metric="frechet_distance", value=math.nan))
    assert text == "Fréchet distance is not known, and without it nothing can be said."


def test_the_reasons_of_a_sweep_fit_its_verdicts(tables):
    for found in tables.verdicts.to_dict("records"):
        text = reason(found)
        if found["verdict"] == "diverged":
            assert "finite" in text
        if found["rule"] == "few_modes":
            assert "effective modes" in text
