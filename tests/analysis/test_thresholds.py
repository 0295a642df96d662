import dataclasses
import re
from pathlib import Path

import pytest

import analysis.thresholds
from analysis.thresholds import Thresholds


def test_every_threshold_says_what_it_is_and_where_from():
    text = Path(analysis.thresholds.__file__).read_text()
    found = re.findall(r"(?s)\n    (\w+): (?:float|int) = \S+\n    \"\"\"(.+?)\"\"\"", text)
    assert [name for name, _ in found] == [field.name for field in dataclasses.fields(Thresholds)]


def test_thresholds_are_named_when_given_and_cannot_be_changed():
    with pytest.raises(TypeError):
        Thresholds(0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Thresholds().window_share = 0.5
