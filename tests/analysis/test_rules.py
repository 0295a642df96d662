import dataclasses

import pytest

from analysis.evidence import gather
from analysis.rules import Rule, Verdict, rules
from analysis.thresholds import Thresholds

BOOK = rules(Thresholds())
FIELDS = [field.name for field in dataclasses.fields(Thresholds)]


def test_every_verdict_but_healthy_has_a_rule():
    assert {rule.verdict for rule in BOOK} - {None} == set(Verdict) - {Verdict.HEALTHY}


def test_remarks_come_last():
    remarks = [rule.verdict is None for rule in BOOK]
    assert remarks == sorted(remarks)
    assert sum(remarks) == 3


def test_what_only_some_datasets_have_is_essential_only_where_they_have_it():
    assert all(rule.told_by for rule in BOOK if rule.essential and "modes" in rule.name)


def test_a_rule_explains_only_later_rules():
    names = [rule.name for rule in BOOK]
    for i, rule in enumerate(BOOK):
        assert set(rule.instead_of) <= set(names[i + 1 :])


def test_names_are_unique():
    assert len({rule.name for rule in BOOK}) == len(BOOK)


@pytest.fixture(scope="module")
def evidence(writer_at, tmp_path_factory):
    """What is gathered of a sweep of one sound member."""
    writer = writer_at(tmp_path_factory.mktemp("runs") / "sound")
    writer.members(writer.member())
    writer.control()
    return gather(writer.load(), Thresholds())


@pytest.mark.parametrize("rule", BOOK, ids=lambda rule: rule.name)
def test_a_rule_looks_at_numbers_that_are_gathered(rule: Rule, evidence):
    wanted = {name for c in rule.conditions for name in (c.metric, c.control) if name}
    assert wanted <= set(evidence.members.columns)
    assert {f"{rule.span}_start", f"{rule.span}_end"} <= set(evidence.members.columns)
    assert rule.rung_metric is None or rule.rung_metric in evidence.rungs
    assert rule.told_by is None or rule.told_by in evidence.members


@pytest.mark.parametrize("rule", BOOK, ids=lambda rule: rule.name)
def test_a_rule_names_the_thresholds_that_move_it(rule: Rule):
    for name in rule.source.split(", "):
        assert name == "status" or name in FIELDS
