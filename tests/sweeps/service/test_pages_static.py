from pathlib import Path

import pytest

import sweeps.service
from analysis.plots.palette import VERDICT_ORDER


def asked(seen, path):
    # Without a token: the page that asks for one has its style from here.
    status, headers, content = seen.ask("GET", path, token=None)
    assert status == 200
    return headers["content-type"], content.decode()


def test_the_style_is_that_of_the_report_with_a_class_for_each_verdict(seen):
    kind, text = asked(seen, "/static/style.css")
    assert kind.startswith("text/css")
    assert all(f".v-{verdict}{{" in text for verdict in VERDICT_ORDER)
    assert ".leaderboard" in text or ".facts" in text


@pytest.mark.parametrize("name", ["page.js", "theme.js", "vega.js"])
def test_scripts_are_the_packages_own(seen, name):
    kind, text = asked(seen, f"/static/{name}")
    assert kind.startswith("text/javascript")
    assert len(text) > 100


def test_no_file_of_the_page_names_a_place_elsewhere():
    folder = Path(sweeps.service.__file__).parent
    files = [*(folder / "static").iterdir(), *(folder / "templates").iterdir()]
    assert len(files) > 10
    for file in files:
        text = file.read_text()
        assert "http:" not in text
        assert "https:" not in text
        assert "@import" not in text
