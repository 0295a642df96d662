import time

import jinja2
import pytest

from sweeps.service.pages_templates import ago, breakable, number, render

HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (float("inf"), "-"),
        (0.03791, "0.0379"),
        (12.0, "12"),
        (4096, "4,096"),
        (1.25e-7, "1.25e-07"),
    ],
)
def test_a_number_has_three_digits_and_what_is_none_a_dash(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(5, "just now"), (61, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago"), (-9, "just now")],
)
def test_a_time_is_told_as_how_long_it_is_past(seconds, shown):
    assert ago(time.time() - seconds) == shown


def test_a_time_that_is_not_known_is_left_out():
    assert ago(None) == ""


def test_a_key_breaks_between_its_words_and_is_escaped():
    assert breakable("train.eval_every") == "train.<wbr>eval_<wbr>every"
    assert "<script>" not in breakable(HOSTILE)


def test_whatever_text_a_sweep_holds_is_shown_as_text():
    page = render(
        "compare_body",
        names=[HOSTILE, "b"],
        facts=[],
        objectives=[HOSTILE, ""],
        comparable=True,
        differences=[(HOSTILE, HOSTILE, HOSTILE)],
        figures=[],
    )
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 5


def test_a_storage_without_sweeps_says_how_one_is_begun():
    assert "gansweep run" in render("list_part", sweeps=[], problem="")
    assert "Ray cannot be asked" in render("list_part", sweeps=[], problem="nobody is there")


def test_a_value_that_a_template_lacks_is_a_fault_and_no_gap():
    with pytest.raises(jinja2.UndefinedError):
        render("compare_body", names=[])
