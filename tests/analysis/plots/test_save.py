import json
import socket

import pandas as pd
import pytest

from analysis.plots.palette import VERDICTS
from analysis.plots.save import FORMATS, save, spec
from analysis.plots.theme import chart, verdict_scale
from analysis.rules import Verdict


@pytest.fixture
def dots():
    frame = pd.DataFrame({"x": [1.0, 2.0], "verdict": ["healthy", "diverged"]})
    hue = verdict_scale(frame["verdict"]).to_dict()
    made = (
        chart(frame)
        .mark_point()
        .encode(x="x:Q", color={"field": "verdict", "type": "nominal", "scale": hue})
    )
    return made.properties(width="container", height=90)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


BEGINS = {"svg": b"<svg", "png": b"\x89PNG", "html": b"<!DOCTYPE html>", "json": b"{"}


@pytest.mark.parametrize(
    "suffix",
    ["svg", "png", "json", pytest.param("html", marks=pytest.mark.slow)],  # a bundler
)
def test_a_chart_is_saved_in_every_format_without_a_network(dots, tmp_path, no_network, suffix):
    file = save(dots, tmp_path / "new" / f"dots.{suffix}")
    assert file.read_bytes().startswith(BEGINS[suffix])
    if suffix == "html":
        assert "https://cdn" not in file.read_text()


def test_these_are_all_formats():
    assert set(BEGINS) == set(FORMATS)


def test_a_dark_chart_has_the_dark_colours(dots, tmp_path):
    text = save(dots, tmp_path / "a.svg", dark=True).read_text().lower()
    healthy = VERDICTS[Verdict.HEALTHY]
    assert healthy.dark.lower() in text
    assert healthy.light.lower() not in text
    assert healthy.light.lower() in save(dots, tmp_path / "b.svg").read_text().lower()


def test_a_file_has_a_width_where_a_page_gives_one(dots, tmp_path):
    assert spec(dots)["width"] == "container"
    assert json.loads(save(dots, tmp_path / "a.json").read_text())["width"] == 520


def test_the_name_must_end_in_a_known_format(dots, tmp_path):
    with pytest.raises(ValueError, match=r"a\.gif: ends in '\.gif'; must be \.svg, \.png, \.html"):
        save(dots, tmp_path / "a.gif")
